"""What ordinary nets hold and do besides computing: state, checkpoints, scripts, transforms."""

from collections import deque

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from zoo.diagnosis.diagnose import diagnose
from zoo.errors import ConfigError

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def mean_size(net, x):
    return net(x).square().mean()


class Remembering(nn.Module):
    """Keeps state in every way that modules do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.table = nn.Embedding(8, 4, max_norm=0.1)
        self.register_buffer("mean", torch.zeros(4))
        self.cache, self.state = torch.zeros(8, 4), None
        self.past, self.sizes, self.last = [], {}, deque([X], maxlen=1)

    def forward(self, x):
        y = self.layer(x) + self.table(torch.arange(8))
        self.mean = 0.9 * self.mean + 0.1 * y.mean(0).detach()
        self.cache.copy_(y.detach())
        self.state = y.detach()
        self.past.append(y)
        self.sizes["y"] = len(y)
        self.last.append(y)
        self.more = self.training
        return y


def test_what_a_net_remembers_is_what_it_was():
    net = Remembering()
    names, values = [*vars(net)], {key: value.clone() for key, value in net.state_dict().items()}
    diagnose(net, X, mean_size)
    assert [*vars(net)] == names
    torch.testing.assert_close(dict(net.state_dict()), values, rtol=0, atol=0)
    assert net.state is None
    assert (net.past, net.sizes) == ([], {})
    assert net.last[0] is X
    assert not net.cache.any()


class Block(nn.Module):
    """A residual block, whose activations may be computed again."""

    def __init__(self, reentrant):
        super().__init__()
        self.one, self.two, self.reentrant = nn.Linear(4, 4), nn.Linear(4, 4), reentrant

    def plain(self, x):
        return x + self.two(self.one(x).relu())

    def forward(self, x):
        if self.reentrant is None:
            return self.plain(x)
        return checkpoint(self.plain, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_changes_nothing_that_is_seen(reentrant):
    plain, again = (nn.Sequential(*[Block(each) for _ in range(3)]) for each in (None, reentrant))
    again.load_state_dict(plain.state_dict())
    one, two = (diagnose(net, X, mean_size).profile for net in (plain, again))
    assert one.modules == two.modules == ["0", "1", "2"]
    torch.testing.assert_close(one.gradient, two.gradient)


class Energy(nn.Module):
    """The slope of an energy, example by example."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Linear(4, 4)

    def forward(self, x):
        return torch.func.vmap(torch.func.grad(lambda x: self.energy(x).tanh().square().sum()))(x)


class Rounded(nn.Module):
    """A layer of numbers of one byte."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x.to(torch.float8_e4m3fn).float())


class Ragged(nn.Module):
    """A residual block over texts of two lengths."""

    def __init__(self, layout):
        super().__init__()
        self.one, self.two, self.layout = nn.Linear(4, 4), nn.Linear(4, 4), layout

    def forward(self, x):
        texts = torch.nested.as_nested_tensor([x[:3], x[3:]], layout=self.layout)
        texts = texts + self.two(self.one(texts).relu())
        return torch.nested.to_padded_tensor(texts, 0.0)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.parametrize(
    "net",
    [
        Rounded(),
        Ragged(torch.strided),
        Ragged(torch.jagged),
        Energy(),
        nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.Linear(4, 3))),
    ],
)
def test_what_has_no_plain_numbers_is_passed_over(net):
    assert str(diagnose(net, X, mean_size)) == "nothing is found"


def test_a_lazy_layer_is_refused_until_it_has_run():
    with pytest.raises(ConfigError, match=r"0.weight -- run the net once first"):
        diagnose(nn.Sequential(nn.LazyLinear(3)), X, mean_size)


def test_a_diagnosis_under_inference_is_that_with_gradients():
    net = nn.Linear(4, 3)
    with torch.inference_mode():
        assert not diagnose(net, X, mean_size).findings


class Spectral(nn.Module):
    """A skip around a product with complex weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, 9, dtype=torch.cfloat) * 0.1)

    def forward(self, x):
        product = torch.einsum("bct,cdt->bdt", torch.fft.rfft(x), self.weight)
        return x + torch.fft.irfft(product, n=x.shape[-1])


def test_complex_weights_are_weights():
    torch.manual_seed(0)
    net, x = nn.Sequential(Spectral(), Spectral()), torch.randn(8, 4, 16)
    optimizer = torch.optim.Adam(net.parameters())
    assert diagnose(net, x, lambda net, x: net(x).square().mean(), optimizer).findings == []
