"""Norms and activations stand where the table of `zoo.norm` says: modules that write themselves."""

import pytest
from torch import nn

from zoo.norm import NoNorm, Post, Pre, Sandwich

CHAINS = {  # of two layers; what follows the write; what ends the stream
    NoNorm: ("b(act(a(x)))", "act(x)", "x"),
    Pre: ("b(act(norm(a(act(norm(x))))))", "x", "act(norm(x))"),
    Sandwich: ("norm(b(act(norm(a(act(norm(x)))))))", "x", "act(norm(x))"),
    Post: ("norm(b(act(norm(a(x)))))", "act(x)", "x"),
}
BRANCHES = {
    NoNorm: ("act(a(x))", "x", "x"),
    Pre: ("a(act(norm(x)))", "x", "act(norm(x))"),
    Sandwich: ("norm(a(act(norm(x))))", "x", "act(norm(x))"),
    Post: ("act(a(x))", "norm(x)", "x"),
}


class Named(nn.Module):
    """Writes its name around what it is given."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return f"{self.name}({x})"


def norm(width=None):
    return Named("norm")


def act():
    return Named("act")


def said(module):
    return "x" if module is None else module("x")


@pytest.mark.parametrize("kind", CHAINS)
def test_chains(kind):
    placement = kind()
    chain = placement.chain([Named("a"), Named("b")], [1, 2, 3], norm, act)
    found = (said(chain), said(placement.after_write(act)), said(placement.close(norm, act)))
    assert found == CHAINS[kind]


@pytest.mark.parametrize("kind", BRANCHES)
def test_branches(kind):
    placement = kind()
    branch = placement.branch(Named("a"), norm, act)
    found = (said(branch), said(placement.post(norm)), said(placement.close(norm, act)))
    assert found == BRANCHES[kind]


@pytest.mark.parametrize(
    ("kind", "expected"), [(NoNorm, []), (Pre, [1, 2]), (Sandwich, [1, 2, 3]), (Post, [2, 3])]
)
def test_norms_of_a_chain_have_the_width_of_what_they_norm(kind, expected):
    widths = []

    def wide(width):
        widths.append(width)
        return norm()

    kind().chain([Named("a"), Named("b")], [1, 2, 3], wide, act)
    assert widths == expected
