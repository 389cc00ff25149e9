"""The same numbers as other libraries, to rounding error; those not installed are skipped.

GCN2Conv and others of PyG stand in test_gnn, diffusers in test_diffusion and test_denoising.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tasks.unet.losses import SegmentationLoss
from zoo.compare.analysis import signs, statistics
from zoo.connection import Site
from zoo.connections.additive import Residual
from zoo.connections.manifold import ManifoldHyper
from zoo.connections.projected import Orthogonal
from zoo.connections.reversible import Reversible
from zoo.connections.scalars import Weighted
from zoo.connections.streams import Hyper
from zoo.models.cnn import CNN
from zoo.models.transformer import Transformer
from zoo.norm import Post, Pre

WORDS, CONTEXT = 11, 12
EXACT = {"atol": 1e-12, "rtol": 1e-10}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def drawn(module):
    """The module in double precision with every parameter drawn anew, gains near one."""
    for name, parameter in module.named_parameters():
        nn.init.normal_(parameter, float("norm" in name and "weight" in name), 0.2)
    return module.double().eval()


def transformer(**given):
    sizes = {"depth": 2, "width": 16, "heads": 2, "context": CONTEXT}
    return drawn(Transformer(WORDS, Residual, Pre(), **sizes, **given))


def copy(pairs):
    """Fills each weight of theirs with that of ours."""
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours)


def tokens():
    return torch.randint(WORDS, (3, CONTEXT))


# transformers.


def halves(model):
    """Attention and feed-forward of every block."""
    return zip(*[iter(model.body.branches)] * 2, strict=True)


@pytest.mark.parametrize(("ours", "theirs"), [("gelu_tanh", "gelu_new"), ("gelu", "gelu")])
def test_gpt2_of_transformers(ours, theirs):
    """The released weights of GPT-2 have the configuration `gelu_new`."""
    hf = pytest.importorskip("transformers")
    model = transformer(feedforward=ours)
    config = hf.GPT2Config(
        vocab_size=WORDS,
        n_positions=CONTEXT,
        n_embd=16,
        n_layer=2,
        n_head=2,
        activation_function=theirs,
        bos_token_id=0,
        eos_token_id=0,
    )
    peer = hf.GPT2LMHeadModel(config).double().eval()
    body, stem = peer.transformer, model.stem
    pairs = [
        (body.wte.weight, stem.token.weight),
        (body.wpe.weight, stem.position.weight),
        (body.ln_f.weight, model.close[0].weight),
        (body.ln_f.bias, model.close[0].bias),
    ]
    for block, (attention, feed) in zip(body.h, halves(model), strict=True):
        for layer, own in (
            (block.attn.c_attn, attention.core.qkv),
            (block.attn.c_proj, attention.core.out),
            (block.mlp.c_fc, feed.core.inner),
            (block.mlp.c_proj, feed.core.out),
        ):
            pairs += [(layer.weight, own.weight.T), (layer.bias, own.bias)]
        for norm, own in ((block.ln_1, attention.before[0]), (block.ln_2, feed.before[0])):
            pairs += [(norm.weight, own.weight), (norm.bias, own.bias)]
    copy(pairs)
    assert sum(p.numel() for p in peer.parameters()) == sum(p.numel() for p in model.parameters())
    x = tokens()
    torch.testing.assert_close(model(x), peer(x).logits, **EXACT)


def test_llama_of_transformers():
    """Rotary positions, RMS norms and SwiGLU; their norms compute in float32."""
    hf = pytest.importorskip("transformers")
    model = transformer(
        position="rotary", feedforward="swiglu", norm="rms", bias=False, tie=False
    ).float()
    config = hf.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=16,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=torch.finfo(torch.float32).eps,
        bos_token_id=0,
        eos_token_id=0,
    )
    peer = hf.LlamaForCausalLM(config).eval()
    pairs = [
        (peer.model.embed_tokens.weight, model.stem.token.weight),
        (peer.model.norm.weight, model.close[0].weight),
        (peer.lm_head.weight, model.head.weight),
    ]
    for block, (attention, feed) in zip(peer.model.layers, halves(model), strict=True):
        own, mlp = block.self_attn, block.mlp
        maps = (own.q_proj.weight, own.k_proj.weight, own.v_proj.weight)
        pairs += zip(maps, attention.core.qkv.weight.chunk(3), strict=True)
        maps = (mlp.gate_proj.weight, mlp.up_proj.weight)
        pairs += zip(maps, feed.core.inner.weight.chunk(2), strict=True)
        pairs += [
            (own.o_proj.weight, attention.core.out.weight),
            (mlp.down_proj.weight, feed.core.out.weight),
            (block.input_layernorm.weight, attention.before[0].weight),
            (block.post_attention_layernorm.weight, feed.before[0].weight),
        ]
    copy(pairs)
    assert sum(p.numel() for p in peer.parameters()) == sum(p.numel() for p in model.parameters())
    x = tokens()
    torch.testing.assert_close(model(x), peer(x).logits, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("kind", "depth"), [("basic", 18), ("bottleneck", 50)])
@pytest.mark.parametrize("training", [False, True])
def test_resnets_of_transformers(kind, depth, training):
    hf = pytest.importorskip("transformers")
    widths, lengths = [4, 8, 12, 16], {18: [2, 2, 2, 2], 50: [3, 4, 6, 3]}[depth]
    given = {"form": "imagenet", "block": kind, "shortcut": "B", "width": widths}
    model = drawn(CNN(3, 10, Residual, Post(), depth=depth, **given))
    config = hf.ResNetConfig(
        embedding_size=widths[0],
        hidden_sizes=[width * (4 if kind == "bottleneck" else 1) for width in widths],
        depths=lengths,
        layer_type=kind,
        num_labels=10,
    )
    peer = hf.ResNetForImageClassification(config).double()
    stem = peer.resnet.embedder.embedder
    pairs = [(stem.convolution, model.stem[0]), (stem.normalization, model.stem[1])]
    pairs.append((peer.classifier[1], model.head))
    units = [unit for stage in peer.resnet.encoder.stages for unit in stage.layers]
    for unit, branch, shortcut in zip(
        units, model.body.branches, model.body.shortcuts, strict=True
    ):
        for i, layer in enumerate(unit.layer):
            pairs.append((layer.convolution, branch.get_submodule(f"layer{i}")))
            pairs.append((layer.normalization, branch.get_submodule(f"norm{i}")))
        if shortcut is not None:
            pairs.append((unit.shortcut.convolution, shortcut[0]))
            pairs.append((unit.shortcut.normalization, shortcut[1]))
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())
    assert sum(p.numel() for p in peer.parameters()) == sum(p.numel() for p in model.parameters())
    x = torch.randn(4, 3, 64, 64, dtype=torch.double)
    found = model.train(training)(x)
    torch.testing.assert_close(found, peer.train(training)(x).logits, atol=1e-9, rtol=1e-8)


def test_mhc_of_deepseek():
    """Theirs works on transposed logits and adds small numbers to its sums, here none."""
    hf = pytest.importorskip("transformers.models.deepseek_v4.modeling_deepseek_v4")
    n, width, n_columns = 3, 4, 3 * 5
    rule = ManifoldHyper(Site(width=width), streams=n)
    config = SimpleNamespace(
        hc_mult=n, hc_sinkhorn_iters=20, hc_eps=0.0, hidden_size=width, rms_norm_eps=1.2e-7
    )
    peer = hf.DeepseekV4HyperConnection(config)
    for module in (rule, peer):
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    order = torch.arange(n_columns)
    order[2 * n :] = order[2 * n :].view(n, n).T.flatten()
    static = torch.cat([rule.reading, rule.writing, rule.carrying.flatten()])
    copy([(peer.fn, rule.weight.T[order]), (peer.base, static[order]), (peer.scale, rule.scale)])
    streams, branch = torch.randn(n, 2, 5, width), nn.Linear(width, width)
    post, comb, collapsed = peer(streams.movedim(0, 2).contiguous())
    x, _ = rule.read(streams)
    torch.testing.assert_close(x, collapsed, atol=1e-5, rtol=1e-5)
    expected = post[..., None] * branch(collapsed)[:, :, None] + comb.mT @ streams.movedim(0, 2)
    found = rule(streams, branch).movedim(0, 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


# Packages of single ideas.


def test_hyper_connections_of_its_package():
    """The package sums the streams at the end; a step of one site is compared."""
    package = pytest.importorskip("hyper_connections")
    n, width = 4, 8
    rule = Hyper(Site(width=width, index=2), streams=n).double()
    branch = nn.Linear(width, width).double()
    peer = package.HyperConnections(n, dim=width, branch=branch, layer_index=2).double()
    starts = torch.cat([rule.reading[:, None], rule.carrying], 1)
    assert torch.equal(peer.static_alpha, starts)
    assert torch.equal(peer.static_beta, rule.writing)
    for parameter in rule.parameters():
        nn.init.normal_(parameter)
    carried, read, written = rule.weight.split([n, 1, 1], 1)
    copy(
        [
            (peer.static_alpha, torch.cat([rule.reading[:, None], rule.carrying], 1)),
            (peer.static_beta, rule.writing),
            (peer.dynamic_alpha_fn, torch.cat([read, carried], 1)),
            (peer.dynamic_beta_fn, written[:, 0]),
            (peer.dynamic_alpha_scale, rule.scale[0]),
            (peer.dynamic_beta_scale, rule.scale[1]),
        ]
    )
    streams = torch.randn(n, 3, 5, width, dtype=torch.double)
    found = rule(streams, branch)
    theirs = peer(streams.movedim(0, 1).flatten(0, 1))  # batch before stream
    torch.testing.assert_close(found, theirs.unflatten(0, (3, n)).movedim(1, 0))


def test_orthogonal_and_weighted_residuals_of_x_transformers():
    """Theirs projects over the whole sample, so samples of one position are compared."""
    package = pytest.importorskip("x_transformers.x_transformers")
    x, y = torch.randn(2, 6, 1, 7, dtype=torch.double)
    found = Orthogonal(Site(width=7), epsilon=1e-30).write(x, y, None)
    torch.testing.assert_close(found, package.OrthogonalResidualUpdate(7)(y, x), **EXACT)
    peer = package.Residual(7, scale_residual=True).double()
    nn.init.constant_(peer.residual_scale, 0.7)
    rule = Weighted(Site(width=7), 0.7).double()
    torch.testing.assert_close(rule.write(x, y, None), peer(y, x))


def test_a_decoder_of_x_transformers():
    """A whole net without biases; its positions are divided by sqrt(C), its gains lack 1, and its
    softmax computes in float32.
    """
    package = pytest.importorskip("x_transformers")
    model = transformer(bias=False, tie=False)
    layers = package.Decoder(dim=16, depth=2, heads=2, attn_dim_head=8, ff_no_bias=True)
    peer = package.TransformerWrapper(num_tokens=WORDS, max_seq_len=CONTEXT, attn_layers=layers)
    peer = peer.double().eval()
    pairs = [
        (peer.token_emb.emb.weight, model.stem.token.weight),
        (peer.pos_emb.emb.weight, 4 * model.stem.position.weight),
        (peer.attn_layers.final_norm.gamma, model.close[0].weight - 1),
        (peer.to_logits.weight, model.head.weight),
    ]
    for (norms, layer, _), branch in zip(peer.attn_layers.layers, model.body.branches, strict=True):
        pairs.append((norms[0].gamma, branch.before[0].weight - 1))
        if hasattr(layer, "to_q"):
            maps = (layer.to_q.weight, layer.to_k.weight, layer.to_v.weight)
            pairs += zip(maps, branch.core.qkv.weight.chunk(3), strict=True)
            pairs.append((layer.to_out.weight, branch.core.out.weight))
        else:
            inner, outer = [m for m in layer.modules() if isinstance(m, nn.Linear)]
            pairs += [(inner.weight, branch.core.inner.weight)]
            pairs += [(outer.weight, branch.core.out.weight)]
    copy(pairs)
    x = tokens()
    torch.testing.assert_close(model(x), peer(x), atol=1e-7, rtol=1e-5)


def test_two_reversible_writes_are_a_coupling_of_revnet():
    """y1 = x1 + F(x2), y2 = x2 + G(y1), and back: the additive coupling of memcnn."""
    f, g = (nn.Linear(5, 5).double() for _ in range(2))
    x1, x2 = torch.randn(2, 4, 5, dtype=torch.double)
    first, second = (Reversible(site) for site in Site.line(5, 2))
    y1 = x1 + f(x2)
    y2 = x2 + g(y1)
    state = second(first((x1, x2), f), g)
    torch.testing.assert_close(state, (y1, y2))
    back = first.invert(second.invert(state, g), f)
    torch.testing.assert_close(back, (x1, x2), **EXACT)


# Losses and statistics.


def test_dice_and_focal_losses_of_monai():
    losses = pytest.importorskip("monai.losses")
    logits, y = torch.randn(3, 4, 6, 5), torch.randint(4, (3, 6, 5))
    assert len(y.unique()) == 4
    given = {"to_onehot_y": True, "softmax": True, "batch": True}
    dice = losses.DiceLoss(**given, smooth_nr=0.0, smooth_dr=0.0)
    focal = losses.FocalLoss(gamma=1.5, to_onehot_y=True, use_softmax=True, reduction="sum")
    for kind, peer, count in (("dice", dice, 1), ("focal", focal, len(y))):  # a mean over pixels
        criterion = SegmentationLoss(kind, None, torch.ones(4), 1.5)
        found = criterion.value(criterion.sums(logits, y.to(torch.uint8)))
        torch.testing.assert_close(found, peer(logits, y[:, None]) / count)


def test_corrections_and_the_sign_test_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    descriptivestats = pytest.importorskip("statsmodels.stats.descriptivestats")
    rng = np.random.default_rng(0)
    for count in (1, 3, 12):
        p = list(rng.uniform(0, 0.2, count))
        expected = multitest.multipletests(p, method="holm")[1]
        assert statistics.holm(p) == pytest.approx(expected.tolist(), rel=1e-12)
    for mean in (0.0, 0.1, -0.1, 0.3):
        d = rng.normal(mean, 0.1, 9)
        expected = descriptivestats.sign_test(d)[1]
        assert signs.difference_p(d) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [(3, 8), (5, 7), (1, 3), (2, 1)])
def test_the_interquartile_mean_of_rliable(size):
    """All scores in order, a quarter of them, rounded down, left out at both ends."""
    scores = np.random.default_rng(0).normal(size=size)
    order, cut = np.sort(scores.flatten()), scores.size // 4
    assert statistics.iqm(scores) == pytest.approx(order[cut : scores.size - cut].mean())


def test_the_gelu_of_gpt2_is_its_formula():
    core = transformer(feedforward="gelu_tanh").body.branches[1].core
    x = torch.randn(5, 16, dtype=torch.double)
    h = core.inner(x)
    curve = torch.tanh((2 / torch.pi) ** 0.5 * (h + 0.044715 * h**3))
    torch.testing.assert_close(
        core(x), F.linear(h / 2 * (1 + curve), core.out.weight, core.out.bias)
    )
