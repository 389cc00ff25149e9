"""Texts of a few words, and the task of learning them."""

import numpy as np
import torch

from tasks.data.text.dataset import Text
from tasks.data.text.tokenizers import CharTokenizer
from tasks.training.optimizers import AdamW
from tasks.transformer.task import LanguageModelling
from zoo.connections.additive import Residual
from zoo.models.transformer import Transformer
from zoo.norm import Pre


def make_task(data, context=8):
    def make_model(vocabulary):
        return Transformer(vocabulary, Residual, Pre(), 1, 8, 2, context)

    return LanguageModelling(make_model, data, AdamW(), seed=0)


def plain_text(content, tokenizer=None, sizes=None):
    tokenizer = tokenizer or CharTokenizer(content)
    tokens = torch.from_numpy(tokenizer.encode(content).astype(np.int16))
    third = len(tokens) // 3
    return Text(tokens, sizes or (len(tokens) - 2 * third, third, third), tokenizer, "here")
