"""Transformers: a plain PyTorch twin, torch's own layers, causality, and the cache of keys."""

import copy

import pytest
import torch
import torch.nn.functional as F
from conftest import CONNECTIONS
from torch import nn

from zoo.config.registry import factory, options
from zoo.connections.additive import Plain, Residual
from zoo.init import GPT2
from zoo.models.layers.attention import CausalAttention
from zoo.models.layers.normal import STD
from zoo.models.layers.rotary import rotate, rotation
from zoo.models.transformer import Transformer
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.probes.profiles import token_similarity
from zoo.seeding import branch_digest, redraw

SMALL = {"vocabulary": 11, "depth": 2, "width": 16, "heads": 2, "context": 12}
every_connection = pytest.mark.parametrize("name", CONNECTIONS)


def make(connect=Residual, placement=None, **changes):
    model = Transformer(connect=connect, norm_placement=placement or Pre(), **{**SMALL, **changes})
    redraw(model, 0)
    return model


def rule(name):
    return factory("connection", name, options("connection", name))


def tokens(batch=3, length=12):
    draws = torch.Generator().manual_seed(1)
    return torch.randint(SMALL["vocabulary"], (batch, length), generator=draws)


def stirred(model, scale=0.1):
    """The model with every parameter moved away from special starts."""
    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=draws)
    return model.eval()


class Block(nn.Module):
    """A pre-norm block with attention written out."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.out, self.norm2 = nn.Linear(width, width), nn.LayerNorm(width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y, length = self.norm1(x), x.shape[1]
        mask = torch.full((length, length), -torch.inf).triu(1)
        heads = []
        parts = [part.chunk(self.heads, -1) for part in self.qkv(y).chunk(3, -1)]
        for q, k, v in zip(*parts, strict=True):
            scores = q @ k.mT / q.shape[-1] ** 0.5 + mask
            heads.append(scores.softmax(-1) @ v)
        x = x + self.out(torch.cat(heads, -1))
        return x + self.outer(F.gelu(self.inner(self.norm2(x))))


class Twin(nn.Module):
    """GPT-2 written out in plain PyTorch, its head tied."""

    def __init__(self, vocabulary, depth, width, heads, context):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.token.weight.T


def test_the_default_is_the_plain_pytorch_net():
    """In double precision, so that only a real difference can be seen."""
    ours, twin = stirred(make()).double(), Twin(**SMALL).double()
    order = list(twin.parameters())
    for a, b in zip(order, ours.parameters(), strict=True):
        a.data.copy_(b)
    x = tokens()
    torch.testing.assert_close(ours(x), twin(x))
    grads = []
    for model in (ours, twin):
        F.cross_entropy(model(x).flatten(0, 1), x.roll(-1, 1).flatten()).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("first", [True, False])
def test_blocks_are_those_of_pytorch(first):
    """torch.nn.TransformerEncoderLayer with a causal mask, norms before or after the write."""
    ours = stirred(make(placement=Pre() if first else Post())).double()
    x = torch.randn(3, 12, 16, dtype=torch.double)
    mask = nn.Transformer.generate_square_subsequent_mask(12, dtype=torch.double)
    expected = x
    for block in range(2):
        layer = nn.TransformerEncoderLayer(
            16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=first, dtype=torch.double
        )
        attention, feedforward = ours.body.branches[2 * block : 2 * block + 2]
        norms = ours.body.posts[2 * block : 2 * block + 2]
        if first:
            norms = [attention.before[0], feedforward.before[0]]
        pairs = [
            (layer.self_attn.out_proj, attention.core.out),
            (layer.linear1, feedforward.core.inner),
            (layer.linear2, feedforward.core.out),
            (layer.norm1, norms[0]),
            (layer.norm2, norms[1]),
        ]
        for theirs, module in pairs:
            theirs.load_state_dict(module.state_dict())
        layer.self_attn.in_proj_weight.data.copy_(attention.core.qkv.weight)
        layer.self_attn.in_proj_bias.data.copy_(attention.core.qkv.bias)
        expected = layer(expected, mask, is_causal=True)
    torch.testing.assert_close(ours.body(x, *ours.side(0, 12)), expected)


def test_gpt2_has_its_published_parameters():
    from zoo.config.compose import load

    config, _ = load(["task=transformer", "preset=gpt2", "data.path=text.txt"])
    with torch.device("meta"):
        model = config.factory("model")(
            vocabulary=50257,
            connect=config.factory("connection"),
            norm_placement=config.factory("norm")(),
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


def test_rotary_scores_depend_on_the_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 8).double()
    angles = rotation(32, 8).double()
    places = torch.arange(32)
    scores = rotate(q.expand(32, 8), angles) @ rotate(k.expand(32, 8), angles).T
    for distance in (0, 1, 5, 20):
        along = scores[places[distance:], places[: 32 - distance]]
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(scores[0, 0], q @ k)
    angle = 3 * 10_000 ** (-2 / 8)  # the second pair of channels at the fourth position
    rotated = rotate(torch.eye(8)[1].double().expand(32, 8), angles)[3]
    expected = torch.zeros(8).double()
    expected[1], expected[5] = torch.tensor([angle, angle - torch.pi / 2]).double().cos()
    torch.testing.assert_close(rotated, expected, atol=1e-6, rtol=1e-6)


@every_connection
@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_no_token_sees_a_later_one(name, position):
    model = stirred(make(rule(name), position=position, value_residual="learned"))
    x = tokens()
    other = x.clone()
    other[:, 7:] = (other[:, 7:] + 1) % SMALL["vocabulary"]
    with torch.no_grad():
        a, b = model(x), model(other)
    torch.testing.assert_close(a[:, :7], b[:, :7])
    assert (a[:, 7:] - b[:, 7:]).abs().max() > 1e-3


@every_connection
@pytest.mark.parametrize("placement", [Pre, Post])
def test_cached_logits_are_the_full_ones(name, placement):
    """Read as a prompt, one by one, and as several new tokens at once."""
    changes = {"position": "rotary"} if placement is Pre else {"value_residual": "learned"}
    model = stirred(make(rule(name), placement(), **changes))
    x, cache = tokens(), model.cache(3)
    with torch.no_grad():
        full = model(x)
        pieces = [model(piece, cache) for piece in x.split([4, 1, 1, 1, 3, 2], 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), full, atol=1e-5, rtol=0)
    assert cache.length == 12


@every_connection
def test_every_connection_trains_from_the_same_branches(name):
    model, plain = make(rule(name)), make(Plain)
    assert branch_digest(model) == branch_digest(plain)
    GPT2().apply(model)
    x = tokens()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(2):
        loss = F.cross_entropy(model(x).flatten(0, 1), x.flatten())
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("placement", [NoNorm, Pre, Sandwich, Post])
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("feedforward", ["gelu", "swiglu"])
def test_norms_and_feedforwards(placement, norm, feedforward):
    model = make(placement=placement(), norm=norm, feedforward=feedforward, bias=False)
    assert model(tokens()).shape == (3, 12, 11)
    kinds = {type(module) for module in model.modules()} & {nn.LayerNorm, nn.RMSNorm}
    expected = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[norm]
    assert kinds == (set() if placement is NoNorm else {expected})
    assert not [name for name, _ in model.named_parameters() if name.endswith("bias")]


def test_swiglu_is_its_equation():
    core = make(feedforward="swiglu").body.branches[1].core
    x = torch.randn(5, 16)
    gate, value = (core.inner(x)).split(48, -1)  # 8/3 of 16, rounded up to a multiple of 8
    torch.testing.assert_close(core(x), core.out(gate * gate.sigmoid() * value))


@pytest.mark.parametrize("connect", [Residual, rule("reversible")])
@pytest.mark.parametrize("kind", ["none", "fixed", "learned"])
def test_checkpointing_gives_the_same_gradients(connect, kind):
    model = make(connect, value_residual=kind, depth=3)
    twin = copy.deepcopy(model)
    twin.body.checkpoint = True
    for each in (model, twin):
        each(tokens()).square().mean().backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_one_graph_and_any_batch():
    """Compiled as a whole, and exported with a dynamic batch."""
    model = stirred(make(position="rotary", value_residual="learned"))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(tokens()), model(tokens()))
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    exported = torch.export.export(model, (tokens(),), dynamic_shapes=shapes).module()
    torch.testing.assert_close(exported(tokens(5)), model(tokens(5)))


@pytest.mark.parametrize("kind", ["fixed", "learned"])
def test_value_residual_by_hand(kind):
    """At the first token attention is the identity, so what comes out are the values alone."""
    first = CausalAttention(4, 2, False, 0.0, 0, kind)
    second = CausalAttention(4, 2, False, 0.0, 1, kind)
    a, b = (0.5, 0.5) if kind == "fixed" else (0.25, 2.0)
    if kind == "learned":
        second.share.data.copy_(torch.tensor([a, b]))
    x, taps = torch.randn(1, 1, 4), {}
    v1, v2 = x @ first.qkv.weight[8:].T, x @ second.qkv.weight[8:].T
    torch.testing.assert_close(first(x, None, taps), first.out(v1))
    torch.testing.assert_close(second(x, None, taps), second.out(a * v1 + b * v2))


def test_a_tied_head_is_drawn_once_and_stays_tied(tmp_path):
    tied, free = make(tie=True), make(tie=False)
    assert tied.head.weight is tied.stem.token.weight
    assert torch.equal(tied.stem.token.weight, free.stem.token.weight)
    torch.save(stirred(tied).state_dict(), tmp_path / "weights")
    again = make(tie=True)
    again.load_state_dict(torch.load(tmp_path / "weights"))
    assert again.head.weight is again.stem.token.weight
    assert torch.equal(again(tokens()), tied(tokens()))
    assert copy.deepcopy(again).head.weight is not again.stem.token.weight
    again = copy.deepcopy(again)
    assert again.head.weight is again.stem.token.weight


def test_draws_of_gpt2():
    """Weights of standard deviation 0.02; those that write divided by the root of the writes."""
    model = make(width=64, heads=4, depth=3, vocabulary=100)
    GPT2().apply(model)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim > 1:
            std = STD / 6**0.5 if name.endswith("out.weight") else STD
            assert parameter.std().item() == pytest.approx(std, rel=0.05), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 3}, "heads=3 does not divide width=16"),
        ({"width": 18, "heads": 2, "position": "rotary"}, "even width, not 9"),
    ],
)
def test_impossible_nets_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        make(**changes)


def test_more_tokens_than_the_context_are_refused():
    model = make().eval()
    with pytest.raises(ValueError, match="13 tokens are more than context=12"):
        model(tokens(length=13))
    cache = model.cache(3)
    with torch.no_grad():
        model(tokens(), cache)
        with pytest.raises(ValueError, match="13 tokens"):
            model(tokens(length=1), cache)


def test_token_similarity_is_the_mean_over_pairs():
    x = torch.randn(2, 5, 7)
    pairs = [
        F.cosine_similarity(text[i], text[j], 0) for text in x for i in range(5) for j in range(i)
    ]
    torch.testing.assert_close(token_similarity(x).float(), torch.stack(pairs).mean())
    assert token_similarity(torch.ones(1, 4, 3)).item() == pytest.approx(1)


def test_attention_alone_makes_tokens_alike():
    """Dong et al. 2021: rank collapse where nothing is carried past the branches."""
    similar = {}
    for connect in (Residual, Plain):
        model = make(connect, depth=8)
        similar[connect] = token_similarity(model.values(tokens())[-1]).item()
    assert similar[Plain] > 0.95
    assert similar[Residual] < 0.6
