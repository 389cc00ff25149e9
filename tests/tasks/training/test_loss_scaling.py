"""Training in fp16 against Lightning's, which asks the device in every step."""

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision as LightningMixedPrecision
from small_runs import weights
from tiny_runs import fit, words

from tasks.cnn.task import ImageClassification
from tasks.training.loss_scaling import MixedPrecision
from tasks.training.optim import Optimizer
from tasks.training.trainer import TrainerOptions

pytestmark = pytest.mark.usefixtures("shrunk")


def lightning(device):
    return LightningMixedPrecision("16-mixed", device, torch.amp.GradScaler(device))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_steps_and_scale_are_those_of_lightning(optimizer, tmp_path, monkeypatch):
    """With clipping; the first step is left out and one more, each halves the scale."""
    loss, trainer, build = ImageClassification.loss, TrainerOptions.trainer, Optimizer.build

    def steep(self, batch, shard):
        endless = (0 * next(self.model.parameters())).sum().sqrt()  # 0, of endless slope
        return loss(self, batch, shard) + (endless if batch[0] in (0, 3) else 0.0)

    monkeypatch.setattr(ImageClassification, "loss", steep)
    kept = []
    for plugin, fused in ((MixedPrecision, True), (lightning, False)):

        def in_fp16(self, task, callbacks, plugins=(), plugin=plugin):
            self.precision = None  # Lightning takes one of the two
            return trainer(self, task, callbacks, [*plugins, plugin("cpu")])

        def built(self, *given, fused=fused):
            kind = type(self).kind
            self.kind = lambda groups, **rest: kind(groups, **rest | {"fused": fused})
            return build(self, *given)

        monkeypatch.setattr(TrainerOptions, "trainer", in_fp16)
        monkeypatch.setattr(Optimizer, "build", built)
        given = words("cnn", "trainer.accelerator=cpu trainer.clip=0.5 trainer.max_steps=6")
        folder = tmp_path / plugin.__name__
        fit(folder, *given, f"optimizer={optimizer}", "optimizer.weight_decay=0.01")
        file = folder / "checkpoints" / "last.ckpt"
        scale = torch.load(file, weights_only=True)["MixedPrecision"]["scale"]
        kept.append((weights(folder), scale))
    (ours, scale), (theirs, same) = kept
    assert scale == same == 2.0**14
    torch.testing.assert_close(ours, theirs)
