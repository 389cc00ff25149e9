"""What nets of every day do is no fault, and the fault that is close to it is one."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from usual_nets import USUAL, Masked, Overwritten, classified, rows, vocabulary, words

from zoo.diagnosis.diagnose import diagnose

LONG = {  # which the score of healthy nets has
    "attention of transformers by hand",
    "larger vocabulary",
}
IN_PART = {"blocks left out at random", "experts that are chosen"}  # which a pass uses
FAST = sorted(USUAL.keys() - LONG)


class Forgetful(nn.Module):
    """A net with a layer that is never called."""

    def __init__(self, net):
        super().__init__()
        self.net, self.second = net, nn.Linear(16, 16)

    def forward(self, x):
        return self.net(x)


def found(net, batch, loss=classified, optimizer=None):
    return {f.cause: f for f in diagnose(net, batch, loss, optimizer).findings}


@pytest.mark.parametrize("name", FAST)
def test_it_is_not_accused(name):
    torch.manual_seed(0)
    net, batch, loss = USUAL[name]()
    assert found(net, batch, loss, torch.optim.Adam(net.parameters(), 1e-3)) == {}


@pytest.mark.parametrize("name", sorted(IN_PART))
@pytest.mark.parametrize("seed", range(3))
def test_what_rests_in_a_pass_is_used_and_what_is_forgotten_is_not(name, seed):
    torch.manual_seed(seed)
    net, *rest = USUAL[name]()
    assert found(net, *rest) == {}
    finding = found(Forgetful(net), *rest)["unused_parameters"]
    assert finding.evidence == "2 parameters get no gradient: second.weight, second.bias"


@pytest.mark.parametrize("value", [-torch.inf, -1e4])
def test_scores_that_overflow_do_so_behind_a_mask_too(value):
    torch.manual_seed(0)
    net = Masked(value)
    net.q.weight.data *= 3e3
    net.k.weight.data *= 30
    finding = found(net.half(), words())["fp16_overflow"]
    assert (finding.where, finding.evidence[:9]) == ("", "inf where")
    assert finding.plain()["value"] is None


def test_large_results_of_layers_count():
    layer = Overwritten(16, 3)
    layer.weight.data *= 1e8
    assert (
        found(nn.Sequential(nn.Linear(16, 16), layer), rows())["exploding_activations"].where == "1"
    )


def test_gates_at_an_end_count_where_a_layer_reads_them():
    gate = nn.Linear(16, 16)
    gate.bias.data.fill_(40.0)
    net = nn.Sequential(gate, nn.Sigmoid(), nn.Linear(16, 3))
    assert found(net, rows())["saturated_units"].where == "1"
    assert "saturated_units" not in found(net[:2], rows(classes=16))


def test_twins_are_found_among_many_units():
    torch.manual_seed(0)
    net, (x, _), loss = vocabulary(20_000)
    batch = x, torch.randint(100, (len(x),)) * 2
    assert found(net, batch, loss) == {}
    for p in net.parameters():
        p.data[1::2] = p.data[::2]
    assert found(net, batch, loss) == {}  # the words that occur part from their twins

    def sums(net, batch):
        return net(batch[0]).square().mean()

    assert found(net, batch, sums)["equal_units"].value == pytest.approx(2)


@pytest.mark.parametrize("images", [(2, 3, 8, 8), (8, 3, 1, 1)])
def test_the_number_of_a_tiny_batch_norm_is_the_one_that_fails(images):
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.Flatten())
    finding = found(net, torch.randn(images), lambda net, x: net(x).square().mean())
    assert finding["tiny_batch_norm"].value == (2 if images[0] == 2 else 8)
    assert finding["tiny_batch_norm"].value < finding["tiny_batch_norm"].limit


class Doubled(nn.Module):
    def __init__(self, twice):
        super().__init__()
        self.one, self.two, self.twice = nn.Linear(16, 16), nn.Linear(16, 16), twice

    def forward(self, x):
        return self.twice(x) + self.two(F.relu(self.one(x)))


@pytest.mark.parametrize("twice", [lambda x: 2 * x, lambda x: x + x, lambda x: x / 0.5])
def test_a_skip_that_brings_the_stream_twice_is_found(twice):
    torch.manual_seed(0)
    net = nn.Sequential(
        *[Doubled(twice if i == 1 else lambda x: x) for i in range(3)], nn.Linear(16, 3)
    )
    assert {c: f.where for c, f in found(net, rows()).items()} == {"double_add": "1"}
    net[1].twice = lambda x: 1.5 * x
    assert found(net, rows()) == {}


def test_roots_come_before_what_follows_from_them():
    layers = [part for _ in range(6) for part in (nn.Linear(16, 16), nn.ReLU())]
    layers[4].bias.data.fill_(-100.0)
    causes = [*found(nn.Sequential(*layers, nn.Linear(16, 3)), rows())]
    assert (causes[0], causes[-1]) == ("vanishing_gradients", "dead_units")


class Scaled(nn.Module):
    """x + a F(x), whose a begins at zero, as in ReZero."""

    def __init__(self, width):
        super().__init__()
        self.layer, self.factor = nn.Linear(width, width), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.factor * self.layer(x).tanh()


@pytest.mark.parametrize(("size", "idle"), [(1.0, False), (1e-4, False), (1e-9, True)])
def test_a_lone_factor_may_have_a_small_gradient_by_chance(size, idle):
    torch.manual_seed(0)
    blocks = [Scaled(16) for _ in range(6)]
    for p in blocks[2].layer.parameters():
        p.data *= size
    causes = found(nn.Sequential(*blocks, nn.Linear(16, 3)), rows())
    assert ("idle_branch" in causes) == idle
    assert not idle or causes["idle_branch"].where == "2"
