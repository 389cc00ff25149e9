"""A task with two optimisers that take turns trains, and goes on as if nothing had been."""

import math
import signal

import pytest
import torch
from small_runs import SMALL, rows, weights

from tasks.gnn.task import NodeClassification
from tasks.training.chained import ChainedOptimizer
from zoo.cli.main import main
from zoo.config import registry
from zoo.run_folder import RunFolder
from zoo.shard import WHOLE

GIVEN = ["fit", *SMALL, "task=turns", "model.dropout=0.5", "trainer.accelerator=cpu"]
GIVEN += ["trainer.max_steps=9", "trainer.validate_every=4", "trainer.log_every=1", "logger=none"]


class TakingTurns(NodeClassification):
    """The head moves by SGD, then all else by Adam for a loss that is twice as large."""

    turn = "head"
    taken = 0  # steps of this process
    at = (0, "", lambda: 1.0)  # a step and a turn, and what happens then to the loss

    def configure_optimizers(self):
        head = list(self.model.head.parameters())
        rest = [*self.model.stem.parameters(), *self.model.body.parameters()]
        sgd = torch.optim.SGD(head, 0.1, momentum=0.9)
        return {"optimizer": ChainedOptimizer(sgd, torch.optim.Adam(rest, 0.01))}

    def optimizer_step(self, *step):
        for self.turn in ("head", "rest"):
            super().optimizer_step(*step)
        self.taken += 1

    def loss(self, batch, shard=WHOLE):
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith("head.") == (self.turn == "head"))
        step, turn, happens = self.at
        now = (self.taken, self.turn) == (step, turn)
        factor = happens() if now else 1.0 + (self.turn == "rest")
        return super().loss(batch, shard) * factor


@pytest.fixture(autouse=True)
def registered(tmp_path, monkeypatch):
    """The task as one of another package."""
    usual = registry.find("task", "gnn").read_text()
    own = f"{TakingTurns.__module__}.{TakingTurns.__qualname__}"
    (tmp_path / "configs" / "task").mkdir(parents=True)
    file = tmp_path / "configs" / "task" / "turns.yaml"
    file.write_text(usual.replace("tasks.gnn.task.NodeClassification", own))
    monkeypatch.setitem(registry.homes(), tmp_path / "configs", TakingTurns.__module__)


def fit(folder, *words, code=0):
    assert main([*GIVEN, f"run.dir={folder}", *words]) == code
    return RunFolder(folder).result()


def test_each_turn_moves_the_weights_of_its_own_optimiser(tmp_path, monkeypatch):
    """A first step of SGD is its rate times the gradient; one of Adam is its rate alone."""
    moved, expected = [], []
    step = TakingTurns.optimizer_step

    def watched(self, *given):
        names, values = zip(*self.model.named_parameters(), strict=True)
        before = [value.detach().clone() for value in values]
        loss = self.loss(next(iter(self.train_loader())))
        expected.extend(-0.1 * g for g in torch.autograd.grad(loss, self.model.head.parameters()))
        step(self, *given)
        changes = (value.detach() - old for value, old in zip(values, before, strict=True))
        moved.append(dict(zip(names, changes, strict=True)))

    monkeypatch.setattr(TakingTurns, "optimizer_step", watched)
    fit(tmp_path / "run", "trainer.max_steps=1", "model.dropout=0")
    head = [value for name, value in moved[0].items() if name.startswith("head.")]
    torch.testing.assert_close(head, expected)
    rest = [value for name, value in moved[0].items() if not name.startswith("head.")]
    assert max(value.abs().max().item() for value in rest) == pytest.approx(0.01, rel=1e-3)


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    fit(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(TakingTurns, "at", (5, "head", lambda: signal.raise_signal(15) or 1.0))
        fit(tmp_path / "resumed", code=128 + signal.SIGTERM)
    assert rows(tmp_path / "resumed")[-1]["step"] == 6
    assert main(["fit", f"from={tmp_path / 'resumed'}"]) == 0
    assert rows(tmp_path / "resumed") == rows(tmp_path / "whole")
    whole, resumed = (weights(tmp_path / name) for name in ("whole", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("turn", ["head", "rest"])
def test_a_loss_that_is_lost_in_one_turn_is_told_and_moves_nothing(turn, tmp_path, monkeypatch):
    monkeypatch.setattr(TakingTurns, "at", (5, turn, lambda: math.nan))
    unwatched = "trainer.log_every=4"  # by its norm
    assert fit(tmp_path / "stop", unwatched, code=4)["status"] == "diverged"
    result = fit(tmp_path / "skip", "trainer.on_nonfinite=skip")
    assert (result["status"], result["lost_steps"]) == ("done", 1)
    assert all(value.isfinite().all() for value in weights(tmp_path / "skip").values())


def test_optimisers_of_one_weight_or_half_fused_are_refused():
    one, other = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    with pytest.raises(ValueError, match="more than one parameter group"):
        ChainedOptimizer(torch.optim.SGD([one]), torch.optim.Adam([one]))
    with pytest.raises(ValueError, match="some are not"):
        ChainedOptimizer(torch.optim.SGD([one], fused=True), torch.optim.Adam([other]))
