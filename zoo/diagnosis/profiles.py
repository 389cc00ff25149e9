"""What a net does by depth, as numbers with words for readers who see them for the first time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.diagnosis.examination import Examination
from zoo.probes.stream.lesion import Lesions
from zoo.probes.stream.paths import Paths

WRITE = "write"  # what depth counts where nothing else is said


@dataclass(frozen=True)
class Profile:
    """One measure of a net by depth.

    Args:
        title: its name.
        shows: what it is, in a sentence.
        normal: what is seen in nets that train, in a sentence.
        lines: values by depth, for each label; NaN where one is not known.
        places: what stands at each depth: paths of modules, or numbers.
        logarithmic: whether ratios count, not differences.
        across: what depth counts.
        ends: of the picture's axis; None: where the values lie.
    """

    title: str
    shows: str
    normal: str
    lines: Mapping[str, Sequence[float]]
    places: Sequence[str]
    logarithmic: bool = True
    across: str = WRITE
    ends: tuple[float, float] | None = None

    @property
    def note(self) -> str:
        """Sentences on what a picture cannot show: zeros on a logarithmic axis, and gaps."""
        every = [value for line in self.lines.values() for value in line]
        known = [value for value in every if not math.isnan(value)]
        zeros, notes = known.count(0), []
        if zeros and zeros == len(known):
            notes.append("It is zero everywhere, as behind a layer that starts at zero.")
        elif zeros and self.logarithmic:
            notes.append(f"{zeros} of its {len(known)} values are zero, which are not drawn.")
        if len(known) < len(every):
            notes.append("In gaps it is not known, such as where shapes differ.")
        return " ".join(notes)


def profiles_of(seen: Examination) -> dict[str, Profile]:
    """All measures of a net by depth; of a net without a skip the gradient at its layers alone."""
    made = {**of_stream(seen), "layers": of_layers(seen)}
    return {name: each for name, each in made.items() if any(each.lines.values())}


def of_stream(seen: Examination) -> dict[str, Profile]:
    """The measures of a stream and its branches, at every write."""
    if seen.profile is None:
        return {}
    it = seen.profile
    ends = [*it.modules, "end"]
    return {
        "stream": Profile(
            "Size of stream and branch",
            "How large the numbers are that travel along the skips (the stream), and those that "
            "each branch adds to them: root mean squares.",
            "The stream keeps its size or grows slowly, like the root of the number of writes; "
            "without norms it may grow a hundredfold. No branch towers above the others.",
            {"stream": plain(it.stream), "branch": plain(it.branch)},
            ends,
        ),
        "share": Profile(
            "Share of the branch",
            "How large what a branch writes is, over the size of the stream it writes to.",
            "Between a hundredth and one, and falling where the stream grows; next to nothing at "
            "the start of rules that begin at zero, which then rises in training.",
            {"branch over stream": plain(it.ratio)},
            it.modules,
        ),
        "gradient": Profile(
            "Gradient of stream and branch",
            "How strongly the loss depends on the stream at each depth, and the part of that which "
            "comes through the branch: norms of gradients. Read it from right to left.",
            "A flat line, within a factor of a hundred from end to end. One that falls to the left "
            "by many powers of ten leaves the first layers untrained, one that rises makes steps "
            "blow up.",
            {"stream": plain(it.gradient), "through the branch": plain(it.branch_gradient)},
            ends,
        ),
        "cosine": Profile(
            "Cosine of stream and branch",
            "Whether a branch repeats what the stream already says (1), adds something of its own "
            "(0) or takes something back (-1): the mean over examples.",
            "Near 0 at the start of training; a trained net may go to either side, often below 0 "
            "in late blocks.",
            {"cosine": plain(it.cosine)},
            it.modules,
            logarithmic=False,
            ends=(-1.05, 1.05),
        ),
        "spread": Profile(
            "Spread of the features",
            "How different the examples, tokens or nodes still are: the share of the stream's "
            "energy outside of the one direction that all have in common.",
            "A line that stays above a thousandth. Where it falls to nothing all inputs look alike "
            "to the layers behind, whatever they are.",
            {"spread": [float(each) for each in seen.spreads]},
            it.modules,
        ),
    }


def of_layers(seen: Examination) -> Profile:
    """The gradient at what every function with weights gave, in the order of the pass."""
    numbers = sorted(seen.flows)
    sizes = [seen.flows[number].cpu() for number in numbers]
    return Profile(
        "Gradient at every layer",
        "How strongly the loss depends on what each layer with weights gives, from the first to "
        "the last: root mean squares of gradients. Read it from right to left.",
        "A line without a trend over many powers of ten; single layers may differ by tens.",
        {"gradient": plain(torch.stack(sizes)) if sizes else []},
        [seen.calls[number].module for number in numbers],
        across="layer",
    )


def of_lesions(lost: Lesions) -> Profile:
    """What a net loses with each branch.

    Args:
        lost: by the removal of single branches.
    """
    intact = [float(lost.intact)] * len(lost.names)
    return Profile(
        "Loss without one branch",
        "What the loss on this batch becomes, in evaluation, where one branch is left out and its "
        "skip is kept; dashed: with all of them.",
        "A deep trained residual net hardly misses a late branch; the first ones count most, and "
        "those at which the stream changes its shape. A trained plain net loses by each one.",
        {"without the branch": plain(lost.losses), "intact": intact},
        lost.names,
        across="removed branch",
    )


def of_paths(paths: Paths) -> Profile:
    """The gradient by the number of branches that its way passes."""
    return Profile(
        "Gradient by the length of its way",
        "How the gradient at the first write is made up of ways through few or many branches: the "
        "share that ways of each length carry, beside the share of all ways that have this length.",
        "With skips most of the gradient comes by ways shorter than half of the depth; without "
        "them there is one way, through all branches.",
        {
            "share of the gradient": plain(paths.share),
            "share of the ways": plain(paths.count / paths.count.sum()),
        },
        [str(length) for length in range(len(paths.count))],
        logarithmic=False,
        across="branches passed",
    )


def plain(values: Tensor) -> list[float]:
    """Numbers as a list, with NaN where one is not finite."""
    numbers = values.double().tolist()
    return [number if math.isfinite(number) else math.nan for number in numbers]
