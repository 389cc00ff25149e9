"""A diagnosis takes gradients and accumulates none, and the batch stays what it is."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from zoo.diagnosis.diagnose import diagnose
from zoo.diagnosis.examine import examine
from zoo.errors import ConfigError

Y = torch.arange(16) % 3


def inputs():
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def classes(net, batch):
    return cross_entropy(net(batch[0]), batch[1])


def test_an_optimiser_that_steps_in_the_backward_pass_does_not():
    net = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    before = net.weight.detach().clone()
    net.weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    diagnose(net, (inputs(), Y), classes)
    assert net.weight.equal(before)


class Centred(nn.Module):
    """A net that changes its input in place."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        x -= x.mean(0)
        return self.layer(x)


def test_an_input_is_changed_in_place_and_stays_as_it_was():
    x = inputs()
    diagnose(Centred(), (x, Y), classes)
    assert x.equal(inputs())


def test_labels_are_read_by_numpy():
    def loss(net, batch):
        return mse_loss(net(batch[0])[:, 0], torch.from_numpy(batch[1].numpy()))

    assert not diagnose(nn.Linear(4, 1), (inputs(), Y.float()), loss).findings


def test_the_gradient_of_a_sparse_embedding_is_that_of_a_dense_one():
    sparse, dense = (nn.Embedding(10, 4, sparse=sparse) for sparse in (True, False))
    dense.load_state_dict(sparse.state_dict())
    one, two = (
        examine(net, Y, lambda net, x: net(x).square().mean()).gradients for net in (sparse, dense)
    )
    torch.testing.assert_close(one, two)
    optimizer = torch.optim.SGD(sparse.parameters(), 0.1)
    assert not diagnose(sparse, Y, lambda net, x: net(x).square().mean(), optimizer).findings


@pytest.mark.parametrize("value", [None, 1.0, torch.ones(2)])
def test_a_loss_is_a_scalar_tensor(value):
    with pytest.raises(ConfigError, match="return a scalar tensor"):
        diagnose(nn.Linear(4, 3), inputs(), lambda net, x: value)
