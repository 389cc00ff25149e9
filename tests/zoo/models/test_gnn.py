"""Graph networks against PyG and against the formulas of their papers."""

import pytest
import torch
from small_graphs import CONVS
from torch_geometric.nn import DeepGCNLayer, GCN2Conv, GCNConv

from zoo.config.compose import load
from zoo.config.registry import build, factory, names, options
from zoo.connections.additive import Plain, Residual
from zoo.connections.anchored import Initial
from zoo.models.gnn import GNN
from zoo.models.layers.dropout import dropout
from zoo.models.layers.sparse import Sparse
from zoo.norm import NoNorm, Post, Pre, Sandwich
from zoo.seeding import branch_digest, redraw

NODES, FEATURES = 30, 6


@pytest.fixture
def graph():
    generator = torch.Generator().manual_seed(0)
    upper = (torch.rand(NODES, NODES, generator=generator) < 0.15).triu(1)
    edge_index = (upper | upper.T).nonzero().T.contiguous()
    return torch.randn(NODES, FEATURES, generator=generator), edge_index


def make(connect=Residual, placement=None, **changes):
    model = GNN(FEATURES, 3, connect, placement or NoNorm(), **{"depth": 4, "width": 16, **changes})
    redraw(model, 0)
    return model.eval()


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("name", names("connection"))
def test_every_convolution_under_every_connection(graph, conv, name):
    x, edge_index = graph
    model = make(factory("connection", name, options("connection", name)), conv=conv)
    logits = model.train()(x, *model.prepare(edge_index, NODES))
    assert logits.shape == (NODES, 3)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert branch_digest(model) == branch_digest(make(Plain, conv=conv))


@pytest.mark.parametrize("placement", [NoNorm(), Pre(), Post(), Sandwich()])
@pytest.mark.parametrize("norm", ["batch", "layer", "rms", "graph", "pair"])
def test_every_norm_at_every_place(graph, placement, norm):
    x, edge_index = graph
    model = make(Residual, placement, norm=norm)
    assert model(x, *model.prepare(edge_index, NODES)).isfinite().all()


@pytest.mark.parametrize("conv", CONVS)
def test_no_bias_is_taken_out_by_a_batch_norm(graph, conv):
    x, edge_index = graph
    net = make(placement=Sandwich(), conv=conv, norm="batch", dropout=0).double().train()
    net(x.double(), *net.prepare(edge_index, len(x))).square().sum().backward()
    for name, p in net.named_parameters():
        if name.endswith("bias") and ".core.core." in name:
            assert p.grad.abs().amax() > 1e-9, name


@pytest.mark.parametrize("conv", ["gcn", "sage", "gatv2", "gin", "gen"])
@pytest.mark.parametrize(("stem", "head"), [("conv", "conv"), ("linear", "conv")])
def test_ends_count_as_convolutions(graph, conv, stem, head):
    x, edge_index = graph
    model = make(conv=conv, stem=stem, head=head)
    assert len(model.body.branches) == 4 - (stem == "conv") - (head == "conv")
    assert model(x, *model.prepare(edge_index, NODES)).shape == (NODES, 3)


@pytest.mark.parametrize("jump", ["cat", "max", "lstm"])
def test_jumping_knowledge(graph, jump):
    x, edge_index = graph
    model = make(jump=jump)
    edges = model.prepare(edge_index, NODES)
    values = model.body.values(model.stem(x).relu(), *edges)[1:]
    torch.testing.assert_close(model(x, *edges), model.head(model.jump(values)))


def test_gcnii_is_pyg_gcn2conv(graph):
    """In double precision, so that only a real difference can be seen."""
    x, edge_index = graph[0].double(), graph[1]
    model = make(lambda site: Initial(site, alpha=0.1), conv="gcn2", theta=0.5, depth=8).double()
    layers = [GCN2Conv(16, 0.1, 0.5, layer + 1).double() for layer in range(8)]
    for layer, post in zip(layers, model.body.posts, strict=True):
        layer.weight1.data = post.weight.data
    h = first = model.stem(x).relu()
    for layer in layers:
        h = layer(h, first, edge_index).relu()
    out = model.body(first, *model.prepare(edge_index, NODES))
    torch.testing.assert_close(out, h, atol=1e-7, rtol=1e-6)  # the adjacency is of float32


@pytest.mark.parametrize("conv", CONVS)
def test_every_convolution_in_double_precision(graph, conv):
    """As in single precision, to what that can tell, and with gradients."""
    x, edge_index = graph
    model = make(conv=conv)
    edges = model.prepare(edge_index, NODES)
    rough = model(x, *edges)
    logits = model.double()(x.double(), *edges)
    assert logits.dtype == torch.double
    torch.testing.assert_close(logits.float(), rough, atol=1e-5, rtol=1e-4)
    logits.square().sum().backward()
    assert all(p.grad.dtype == torch.double for p in model.parameters())


def test_the_start_of_gcnii_is_its_authors():
    """Their maps are uniform within 1 / sqrt(C), their linear layers those of PyTorch."""
    model = make(Initial, conv="gcn2", width=64)
    for bound, weight in [
        *((64**-0.5, post.weight) for post in model.body.posts),
        (FEATURES**-0.5, model.stem.core.weight),
        (64**-0.5, model.head.core.weight),
    ]:
        assert 0.95 * bound < weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.15)


def test_the_decay_of_gcnii_is_its_authors():
    """0.01 on the convolutions and 5e-4 on all of both linear layers, biases too."""
    config, _ = load(["task=gnn", "preset=gcnii", "data.path=folder"])
    connect, placement = config.factory("connection"), config.factory("norm")()
    model = config.factory("model")(FEATURES, 3, connect=connect, norm_placement=placement)
    decay_of = {}
    for group in config.factory("optimizer")().groups(model):
        decay_of |= {id(parameter): group["weight_decay"] for parameter in group["params"]}
    decays = {name: decay_of[id(parameter)] for name, parameter in model.named_parameters()}
    ends = {f"{end}.core.{kind}" for end in ("stem", "head") for kind in ("weight", "bias")}
    assert {name for name, decay in decays.items() if decay == 5e-4} == ends
    assert {decay for name, decay in decays.items() if name not in ends} == {0.01}


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("decay_biases", [False, True])
def test_biases_and_norms_decay_where_it_is_asked_for(name, decay_biases):
    """Parameters of connections never do."""
    model = make(factory("connection", "layer_scale", {}), Pre())
    optimizer = build("optimizer", name, weight_decay=0.1, decay_biases=decay_biases)
    for group in optimizer.groups(model):
        bare = {id(p) for connection in model.body.sites for p in connection.parameters()}
        for parameter in group["params"]:
            decays = id(parameter) not in bare and (parameter.ndim > 1 or decay_biases)
            assert group["weight_decay"] == (0.1 if decays else 0)


def test_gcn_is_pyg_gcnconv(graph):
    x, edge_index = graph
    model = make(Plain, stem="conv", head="conv", depth=2)
    first, second = GCNConv(FEATURES, 16), GCNConv(16, 3)
    first.load_state_dict(model.stem.core.state_dict())
    second.load_state_dict(model.head.core.state_dict())
    expected = second(first(x, edge_index).relu(), edge_index)
    edges = model.prepare(edge_index, NODES)
    torch.testing.assert_close(model(x, *edges), expected)
    torch.testing.assert_close(model(Sparse.of_dense(x), *edges), expected)


@pytest.mark.parametrize(("placement", "block"), [(Pre(), "res+"), (NoNorm(), "res")])
def test_residual_is_pyg_deepgcn(graph, placement, block):
    x, edge_index = graph
    model = make(Residual, placement)
    h = model.stem(x).relu()
    out = model.body(h, *model.prepare(edge_index, NODES))
    for branch in model.body.branches:
        conv = GCNConv(16, 16)
        conv.load_state_dict(branch.core.core.state_dict())
        norm = branch.before[0] if block == "res+" else None
        h = DeepGCNLayer(conv, norm, torch.nn.ReLU(), block)(h, edge_index)
    torch.testing.assert_close(out, h)


def test_sparse_product_and_its_gradient_are_those_of_the_dense_matrix():
    dense = torch.randn(5, 7) * (torch.rand(5, 7) < 0.4)
    right = torch.randn(7, 3, requires_grad=True)
    weight = torch.randn(5, 3)
    (Sparse.of_dense(dense) @ right * weight).sum().backward()
    torch.testing.assert_close(Sparse.of_dense(dense) @ right, dense @ right)
    torch.testing.assert_close(right.grad, dense.T @ weight)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.6])
def test_dropout_keeps_the_share_and_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(1000, 1001)
    out = dropout(x, p, True)
    share = (out == 0).double().mean().item()
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5)
    assert torch.equal(out[out != 0].unique(), torch.tensor([1 / (1 - p)]))
    neighbours = ((out[:, 1:] == 0) & (out[:, :-1] == 0)).double().mean().item()
    assert neighbours == pytest.approx(p * p, abs=3e-3)
    assert dropout(x, p, False) is x


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conv": "gatv2", "heads": 3}, "heads=3 does not divide width=16"),
        ({"depth": 1, "stem": "conv", "head": "conv"}, "depth=1"),
        ({"conv": "gcn2", "stem": "conv"}, "gcn2"),
        ({"depth": 2, "stem": "conv", "head": "conv", "jump": "max"}, "jump=max"),
    ],
)
def test_options_that_do_not_go_together(changes, words):
    with pytest.raises(ValueError, match=words):
        make(**changes)


def test_published_sizes_of_cora():
    """GCN: 1433 x 16 + 16 + 16 x 7 + 7 = 23,063 parameters (Kipf and Welling 2017)."""
    model = GNN(1433, 7, Plain, NoNorm(), depth=2, width=16, stem="conv", head="conv")
    assert sum(p.numel() for p in model.parameters()) == 23_063


def test_checkpointing_gives_the_same_gradient(graph):
    x, edge_index = graph
    gradients = []
    for checkpoint in (False, True):
        model = make(checkpoint=checkpoint)
        model(x, *model.prepare(edge_index, NODES)).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*gradients)
