"""Norms whose statistics, biases or weights are not what they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import nn

from zoo.diagnosis.examination import Examination, Norm
from zoo.diagnosis.finding import Finding

SHIFT, STRETCH = 1.0, 4.0  # of a batch, in running deviations, and in running variances
SETTLED = 50  # batches after which running statistics mean something
VALUES, EXAMPLES = 16, 4  # that statistics are taken of, at least
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def stale_batchnorm(seen: Examination) -> Iterator[Finding]:
    """The first batch norm whose running statistics are not those of the batch."""
    for norm in seen.norms:
        if norm.shift is None or norm.stretch is None or not settled(norm):
            continue
        shift = float(norm.shift.median())
        stretch = float(norm.stretch.log().abs().median().exp())
        if (value := max(shift / SHIFT, stretch / STRETCH)) > 1:
            said = (
                f"half of its channels lie {shift:.2g} running deviations off, or their variance "
                f"differs {stretch:.2g} times"
            )
            cure = (
                "recalibrate: run the training data through the net in training mode, without "
                "steps (of a run here: diagnose from=FOLDER fix=batchnorm)"
            )
            yield Finding("stale_batchnorm", norm.module, value, 1.0, said, cure)
            return


def settled(norm: Norm) -> bool:
    """Whether running statistics should mean something: after many batches, or in use."""
    return norm.seen >= SETTLED or not norm.training


def tiny_batch_norm(seen: Examination) -> Iterator[Finding]:
    """Batch norms in training that see too few values, or too few examples."""
    for norm in seen.norms:
        few = norm.values < VALUES
        if norm.training and (few or norm.examples < EXAMPLES):
            value, limit = (norm.values, VALUES) if few else (norm.examples, EXAMPLES)
            said = f"{norm.values} values of {norm.examples} examples for a mean and a variance"
            cure = "a larger batch, or a norm of single examples: model.norm=group"
            yield Finding("tiny_batch_norm", norm.module, value, limit, said, cure)
            return


def bias_before_norm(seen: Examination) -> Iterator[Finding]:
    """Layers with a bias that their only reader, a batch norm, takes out again."""
    readers = Counter(number for call in seen.calls for number in call.inputs)
    layers = [norm.bias for norm in seen.norms if norm.bias and readers[norm.source] == 1]
    if layers:
        said = f"{len(layers)} layers have a bias that the mean of the batch takes out"
        yield Finding("bias_before_norm", layers[0], len(layers), 0, said, "bias=False there")


def decayed_norms(seen: Examination) -> Iterator[Finding]:
    """Norms and biases on which the optimiser has weight decay."""
    if seen.optimizer is None:
        return
    decayed = {
        id(p) for group in seen.optimizer.param_groups if group.get("weight_decay")
        for p in group["params"]
    }  # fmt: skip
    names = [
        name
        for name, p in seen.module.named_parameters()
        if id(p) in decayed and (name.endswith("bias") or p.ndim == 1 or of_norm(seen.module, name))
    ]
    if names:
        said = f"{len(names)} norms and biases decay, such as {names[0]}"
        cure = "two groups of parameters: weight_decay=0 for norms and biases"
        yield Finding("decayed_norms", names[0].rpartition(".")[0], len(names), 0, said, cure)


def of_norm(module: nn.Module, name: str) -> bool:
    """Whether a parameter is one of a norm."""
    return isinstance(module.get_submodule(name.rpartition(".")[0]), NORMS)
