"""Known texts: the plays of Shakespeare and articles of Wikipedia."""

from __future__ import annotations

from tasks.data.folders import folder_at
from tasks.data.text.dataset import Text
from tasks.data.text.sources import TextFile, VocabularySize
from tasks.data.text.tokenizers import TokenKind
from zoo.config.sizes import Batch


class Shakespeare(TextFile):
    """The plays of Shakespeare that char-rnn and nanoGPT learn, 1.1 million characters.

    The training part is that of nanoGPT; validation and test are the halves of its validation.

    Source: Karpathy 2015, https://github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt

    Args:
        path: the file, or the folder of `input.txt`.
        tokens: `characters`, `bytes` or `bpe`.
        vocabulary: the most symbols of bpe.
        batch_size: windows of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        tokens: TokenKind = "characters",
        vocabulary: VocabularySize = 4096,
        batch_size: Batch = 16,
    ):
        super().__init__(path, tokens=tokens, vocabulary=vocabulary, batch_size=batch_size)

    def load(self) -> Text:
        """Reads the text, from the file or from its folder."""
        path = folder_at(self.path)
        self.path = str(path / "input.txt") if path.is_dir() else self.path
        return super().load()


class WikiText(TextFile):
    """Articles of Wikipedia, of the Hub or of a folder.

    Source: Merity et al. 2016, arXiv:1609.07843.

    Args:
        path: folder in the layout of `Salesforce/wikitext`; None: that data set of the Hub.
        name: which configuration.
        tokens: `characters`, `bytes` or `bpe`.
        vocabulary: the most symbols of bpe.
        batch_size: windows of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        name: str | None = "wikitext-103-raw-v1",
        tokens: TokenKind = "bytes",
        vocabulary: VocabularySize = 4096,
        batch_size: Batch = 16,
    ):
        path = path or "Salesforce/wikitext"
        super().__init__(path, name, tokens=tokens, vocabulary=vocabulary, batch_size=batch_size)
