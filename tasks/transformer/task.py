"""Language modelling: the next symbol of a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.data.text.dataset import RandomWindows, Text
from tasks.training.module import MakeModel, Task, Totals
from tasks.training.optim import Optimizer
from tasks.training.outcomes import Outcomes
from tasks.training.two_parts import Input, InTwoParts
from zoo.probes.profiles import token_similarity
from zoo.shard import WHOLE, Shard, set_shard

AT_ONCE = 4096  # tokens of an evaluation batch
SHOWN = 16  # windows of which depth profiles are made


class SequentialWindows:
    """Batches of windows side by side, so that each token but the first is a target once.

    Iteration gives the positions `[B]` long where windows begin, and the length of these windows.

    Args:
        positions: of the tokens.
        context: tokens of a window; the last one can be shorter.
        limit: the most windows; of more, some at equal distances are taken.
    """

    def __init__(self, positions: range, context: int, limit: int | None = None):
        short = (len(positions) - 1) % context
        starts = positions[: len(positions) - 1 - short : context]
        if limit is not None and len(starts) > limit:
            starts, short = starts[:: -(-len(starts) // limit)], 0
        size = max(1, AT_ONCE // context)
        self.batches = [
            (torch.tensor(starts[i : i + size]), context) for i in range(0, len(starts), size)
        ]
        if short:
            self.batches.append((torch.tensor([positions[-1] - short]), short))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return iter(self.batches)


class LanguageModelling(InTwoParts, Task):
    """Prediction of each symbol of a text from those before it in the same window.

    Training batches are random windows. Evaluation reads a part in consecutive windows, of the
    training part as many as of the longer one of the others. With several processes each one takes
    every n-th window of a batch.

    Args:
        make_model: the model's class with its options.
        data: the text.
        optimizer: options of the optimiser.
        seed: of the windows.

    Errors:
        DataError: a part of the text is shorter than the model's context.
    """

    data_type = Text
    example_model_args: ClassVar[dict[str, Any]] = {"vocabulary": 65}
    primary = ("loss", False)
    asks = ("context", "values")
    trained = "tasks.transformer.trained.TrainedText"
    verbs: ClassVar[dict[str, str]] = {"sample": "tasks.transformer.sample.SampleText"}

    def __init__(self, make_model: MakeModel, data: Text, optimizer: Optimizer, seed: int):
        super().__init__(make_model, data, optimizer, seed)
        self.batch_size: int = data.batch_size
        self.context: int = self.model.context
        data.refuse_short_parts(self.context)

    def model_args(self, data: Text) -> dict[str, Any]:
        """Gives the number of symbols."""
        return {"vocabulary": len(data.tokenizer)}

    def batches_per_pass(self) -> int:
        """Gives how many batches have as many tokens as the training part."""
        return max(1, self.data.sizes[0] // (self.context * self.batch_size))

    def setup(self, stage: str) -> None:
        """Brings the tokens `[T]` to the device, once, where it has room for them."""
        self.tokens = self.data.tokens_on(self.device)
        self.lengths = torch.tensor(self.data.tokenizer.lengths, device=self.device)
        self.offsets = torch.arange(self.context + 1, device=self.tokens.device)

    def loader(self, part: str) -> Iterable[tuple[Tensor, int]]:
        """Gives positions `[B]` long where windows begin, and the length of these windows."""
        limit = None
        if part == "train":
            limit = -(-max(self.data.sizes[1:]) // self.context)
        return SequentialWindows(self.data.parts[part], self.context, limit)

    def train_loader(self, number: int = 0) -> Iterable[Tensor]:
        """Gives positions `[B]` long where windows of the whole context begin."""
        starts = self.data.sizes[0] - self.context
        return RandomWindows(starts, self.batch_size, self.seed, number)

    def windows(self, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Reads tokens `[B, length]` from positions `[B]` on, and the one after each of them."""
        starts = starts.to(self.tokens.device, non_blocking=True)
        positions = starts[:, None] + self.offsets[: length + 1]
        tokens = self.tokens[positions].long().to(self.device, non_blocking=True)
        return tokens[:, :-1], tokens[:, 1:]

    def prepared(self, batch: Tensor, shard: Shard = WHOLE) -> tuple[Input, ...]:
        """Gives tokens `[n, T]`, the one after each of them, and the weight of their losses.

        Args:
            batch: positions `[B]` where windows begin.
            shard: which of them, n, are this process's.
        """
        set_shard(shard.of(len(batch)))
        x, y = self.windows(batch[shard.rank :: shard.world], self.context)
        return x, y, shard.world / (len(batch) * self.context)

    def loss_of(self, x: Tensor, y: Tensor, weight: float) -> Tensor:
        """Computes the weighted cross-entropy `[]` of what `prepared` gives."""
        logits = self.model(x).float().flatten(0, 1)
        return F.cross_entropy(logits, y.flatten(), reduction="sum") * weight

    def outcomes(self, batch: tuple[Tensor, int]) -> Outcomes:
        """Gives windows by their positions, `[B]` long, with loss and count of tokens of each."""
        x, y = self.windows(*batch)
        logits = self.model(x).float().flatten(0, 1)
        losses = F.cross_entropy(logits, y.flatten(), reduction="none").view_as(y)
        return Outcomes(batch[0], losses.sum(1), torch.full((len(y),), y.shape[1]))

    def eval_prepared(self, batch: tuple[Tensor, int]) -> tuple[Tensor, Tensor]:
        """Gives tokens `[B, T]` of windows of `loader`, and the one after each of them."""
        return self.windows(*batch)

    def sums_of(self, x: Tensor, y: Tensor) -> Totals:
        """Sums loss, characters and count, `[]` each, over tokens and those after them."""
        logits = self.model(x).float().flatten(0, 1)
        return {
            "loss": F.cross_entropy(logits, y.flatten(), reduction="sum"),
            "characters": self.lengths[y].sum(),
            "count": torch.full((), y.numel(), device=self.device),
        }

    def metrics_from_sums(self, totals: Totals) -> dict[str, float]:
        """Gives the loss in nats a symbol, perplexity, and bits a character of the text."""
        means = super().metrics_from_sums(totals)
        loss = means["loss"]
        metrics = {"loss": loss, "perplexity": math.exp(loss) if loss < 700 else math.inf}
        if means["characters"]:  # nobody knows those of mere numbers
            metrics["bits_per_character"] = loss / math.log(2) / means["characters"]
        return metrics

    def chance_metrics(self) -> dict[str, float]:
        """Gives the loss of the frequencies in the training part, with one more of each symbol."""

        def counts(part: str) -> Tensor:
            positions = self.data.parts[part]
            tokens = self.data.tokens[positions.start : positions.stop].split(2**24)
            size = len(self.data.tokenizer)
            return sum(torch.bincount(some.long(), minlength=size) for some in tokens)  # type: ignore

        train = counts("train") + 1
        nats = -(train / train.sum()).double().log()
        parts = {part: counts(part) for part in ("val", "test")}
        return {f"{p}/loss": ((n * nats).sum() / n.sum()).item() for p, n in parts.items()}

    def depth_profiles(self) -> dict[str, list[float]]:
        """Gives the size of the stream in validation windows, and how alike its tokens are."""
        positions = self.data.parts["val"]
        starts = torch.linspace(positions.start, positions.stop - self.context - 1, SHOWN).long()
        values = self.model.values(self.windows(starts, self.context)[0])
        curves = {"stream_rms": [value.square().mean().sqrt().item() for value in values]}
        if self.context > 1:
            curves["token_similarity"] = [token_similarity(value).item() for value in values]
        return curves

    def collapse_measure(self, batch: Tensor) -> tuple[str, Callable[[Tensor], Tensor]]:
        """Gives the mean cosine between tokens `[B, T, C]` of a window, where it has several."""
        several = self.context > 1
        return (
            ("token_similarity", token_similarity) if several else super().collapse_measure(batch)
        )
