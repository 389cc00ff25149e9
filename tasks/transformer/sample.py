"""Text from a trained language model."""

from __future__ import annotations

import unicodedata
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from tasks.inference.files import output_folder, unused_path, writing
from tasks.transformer.task import LanguageModelling
from zoo.config.sizes import Count
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.seeding import generator
from zoo.system.atomic import atomic_write


def harmless(letter: str) -> str:
    """The letter itself, or the escape of a letter that steers a terminal."""
    steers = unicodedata.category(letter) == "Cc" and letter not in "\n\t"
    return ascii(letter)[1:-1] if steers else letter


class SampleText:
    """Continues a prompt, one symbol after the other, and writes the text to `samples/`.

    When the context is full, the later half of it is read again and the earlier one forgotten.

    Args:
        prompt: what comes first; empty: a line end, or the first symbol where there is none. Of a
            run on tokens that others have prepared it is their numbers: `prompt="464 11"`.
        tokens: symbols to add.
        temperature: the logits are divided by it; 0 takes the most probable symbol.
        top_k: only so many of the most probable symbols are drawn; None: all.
        seed: of the draws.
        dir: where the text is written; None: `samples` in the run folder.
    """

    def __init__(
        self,
        prompt: str = "",
        tokens: Count = 200,
        temperature: Annotated[float, Ge(0)] = 1.0,
        top_k: Count | None = None,
        seed: Annotated[int, Ge(0)] = 0,
        dir: str | None = None,
    ):
        if not prompt.isascii() and prompt != prompt.encode("utf-8", "ignore").decode():
            raise ValueError("the prompt is no text in UTF-8")
        self.prompt, self.tokens, self.temperature = prompt, tokens, temperature
        self.top_k, self.seed, self.dir = top_k, seed, dir

    def __call__(self, task: LanguageModelling, folder: RunFolder) -> Report:
        texts = [self.prompt] * bool(self.prompt) + [self.continuation(task)]
        text = task.data.tokenizer.between.join(texts)
        out = output_folder(self.dir, folder.path / "samples", "dir")
        with writing(out, "dir"):
            path = unused_path(out, f"text-{self.seed}", ".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, text + "\n")
        record = {"text": text, "prompt": self.prompt, "tokens": self.tokens, "file": str(path)}
        return Report(record, "".join(map(harmless, text)))

    def continuation(self, task: LanguageModelling) -> str:
        """The text that follows the prompt."""
        tokens = self.next_tokens(task, self.prompt_tokens(task))
        return task.data.tokenizer.decode(tokens)

    def prompt_tokens(self, task: LanguageModelling) -> list[int]:
        """The tokens of the prompt; of an empty one the token that stands before a text.

        Errors:
            ConfigError: a character of the prompt is no symbol.
        """
        try:
            return task.data.tokenizer.encode(self.prompt).tolist() or [self.first_token(task)]
        except ValueError as error:
            fix = "write it with the symbols of the training text"
            raise ConfigError(str(error), f"prompt={self.prompt}", fix) from None

    def first_token(self, task: LanguageModelling) -> int:
        """The token that stands before a text: a line end, or the first symbol."""
        try:
            found = task.data.tokenizer.encode("\n").tolist()
        except ValueError:
            found = []
        return found[0] if found else 0

    def next_tokens(self, task: LanguageModelling, numbers: list[int]) -> list[int]:
        """Draws the tokens that follow others.

        The net reads each token once, but for the half of a full context.
        """
        model, context = task.model, task.context
        draws = generator(self.seed, "sample")
        numbers, start = list(numbers), len(numbers)
        cache, fresh = model.cache(), numbers[-context:]
        while len(numbers) < start + self.tokens:
            if cache.length + len(fresh) > context:
                cache, fresh = model.cache(), numbers[-max(1, context // 2) :]
            logits = model(torch.tensor([fresh], device=task.device), cache)[0, -1]
            fresh = [self.choice(logits.float().cpu(), draws)]
            numbers += fresh
        return numbers[start:]

    def choice(self, logits: Tensor, draws: torch.Generator) -> int:
        """A token drawn from the logits `[V]` of the V symbols."""
        if not self.temperature:
            return int(logits.argmax())
        if self.top_k is not None and self.top_k < len(logits):
            least = logits.topk(self.top_k).values[-1]
            logits = logits.masked_fill(logits < least, -torch.inf)
        chances = ((logits.double() - logits.max()) / self.temperature).softmax(0)
        return int(torch.multinomial(chances, 1, generator=draws))
