"""A trained language model, called in Python."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tasks.inference.signature import Inputs, Signature, Sizes
from tasks.inference.trained_module import CALL, Trained
from tasks.transformer.sample import SampleText
from zoo.config.options import checked


class TrainedText(Trained):
    """A language model: called with a text, it gives what follows."""

    hub_task = "text-generation"
    example = 'net("def ", tokens=200)  # what follows'

    @property
    def classes(self) -> tuple[str, ...]:
        """The text of each symbol."""
        tokenizer = self.learned.data.tokenizer
        return tuple(tokenizer.decode([number]) for number in range(len(tokenizer)))

    def prepare(self, text: str) -> tuple[Tensor]:
        """The tokens `[1, T]` of the end of a text, as the net takes them.

        Args:
            text: of known characters; an empty one gives the token that stands before a text.
        """
        numbers = SampleText(text).prompt_tokens(self.learned)[-self.learned.context :]
        return (torch.tensor([numbers], device=self.learned.device),)

    def signature(self) -> Signature:
        vocabulary, context = len(self.learned.data.tokenizer), self.learned.context

        def sizes(number: int) -> Sizes:
            return {"batch": number, "length": min(context, 2 * number + 1)}

        def draw(sizes: Sizes, draws: torch.Generator) -> Inputs:
            return (torch.randint(vocabulary, (*sizes.values(),), generator=draws),)

        inputs, about = {"tokens": {0: "batch", 1: "length"}}, {"context": context}
        extremes = [{"batch": 1, "length": 1}, {"batch": 2, "length": context}]
        return Signature(inputs, "logits", sizes, draw, about, extremes)

    @torch.no_grad()
    def forward(self, text: str = "", tokens: int = 200, **options: Any) -> str:
        """The text that follows another one.

        Args:
            text: that comes first, of characters of the training text.
            tokens: number of symbols to add.
            options: `temperature`, `top_k` and `seed` as of the verb `sample`.
        """
        arguments = {"prompt": text, "tokens": tokens, **options}
        return SampleText(**checked(SampleText, arguments, CALL)).continuation(self.learned)
