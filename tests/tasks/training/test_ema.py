"""The running average of weights and buffers."""

import torch
from torch import nn

from tasks.training.ema import EMA


class Run:
    """As much of a trainer and its task as an average sees."""

    global_step = 0
    device = torch.device("cpu")

    def __init__(self):
        self.model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_buffers_are_averaged_as_weights_are():
    run, average = Run(), EMA(0.6)
    average.on_fit_start(run, run)
    average.on_train_start(run, run)
    draws = torch.Generator().manual_seed(0)
    expected = {}
    for step in range(6):
        for value in run.model.state_dict().values():
            value += torch.ones_like(value) * torch.randint(9, (), generator=draws)
        run.global_step = step + 1
        average.on_train_batch_end(run, run)
        decay = min(0.6, (1 + step) / (10 + step)) if step else 0.0
        for name, value in run.model.state_dict().items():
            expected[name] = decay * expected.get(name, 0) + (1 - decay) * value
    count = run.model[1].num_batches_tracked.clone()
    live = {name: value.clone() for name, value in run.model.state_dict().items()}
    average.on_validation_epoch_start(run, run)
    seen = run.model.state_dict()
    assert torch.equal(seen["1.num_batches_tracked"], count)
    for name in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(seen[name], expected[name], msg=name)
        assert not torch.allclose(seen[name], live[name]), name
    average.on_validation_end(run, run)
    assert all(torch.equal(value, live[name]) for name, value in run.model.state_dict().items())
