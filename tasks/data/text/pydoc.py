"""The documentation of Python as a text: no download."""

from __future__ import annotations

from functools import partial

from tasks.data.shares import Share
from tasks.data.text.dataset import Text
from tasks.data.text.text_stream import Chunks, part_starts
from tasks.data.text.tokenize import tokenised
from zoo.config.sizes import Batch


class PyDoc:
    """The reference of the Python language, as its own `help` knows it: no download.

    The topics of `pydoc_data`, about 465,000 characters, in alphabetical order; validation and test
    are the last ones. The text differs between versions of Python.

    Source: https://docs.python.org/3/reference/

    Args:
        val: share of the text that is for validation.
        test: share of the text that is for the test.
        batch_size: windows of a training batch over all processes.
    """

    def __init__(self, val: Share = 0.05, test: Share = 0.05, batch_size: Batch = 16):
        self.val, self.test, self.batch_size = val, test, batch_size
        part_starts(1, val, test)

    def load(self) -> Text:
        """Reads the text and cuts it into parts."""
        from pydoc_data.topics import topics

        text = "\n".join(topics[name] for name in sorted(topics))
        first, second = part_starts(len(text), self.val, self.test)
        parts = {"train": text[:first], "val": text[first:second], "test": text[second:]}
        chunks: dict[str, Chunks] = {name: partial(iter, [part]) for name, part in parts.items()}
        data = tokenised(chunks, "characters", 0, "pydoc")
        data.batch_size = self.batch_size
        return data
