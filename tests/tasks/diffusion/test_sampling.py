"""Drawing text from a language model: which symbols, how often, and after what."""

import pytest
import torch
from scipy import stats
from small_texts import make_task, plain_text

from tasks.transformer.sample import SampleText
from zoo.seeding import generator, redraw

LOGITS = torch.tensor([0.3, 1.5, -0.2, 2.0, 1.1, -1.0])
DRAWS = 1000


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [1, 2, 4, 6, 50, None])
def test_symbols_come_as_often_as_the_softmax_says(top_k, temperature):
    rule, draws = SampleText(top_k=top_k, temperature=temperature), torch.Generator()
    counts = torch.zeros(len(LOGITS))
    for _ in range(DRAWS):
        counts[rule.choice(LOGITS, draws)] += 1
    possible = LOGITS.argsort(descending=True)[:top_k]
    expected = DRAWS * (LOGITS[possible].double() / temperature).softmax(0)
    assert counts.sum() == counts[possible].sum()
    if len(possible) > 1:
        assert stats.chisquare(counts[possible], expected).pvalue > 1e-3
        assert (counts[possible] > 0).all()


@pytest.mark.parametrize("prompt", [1, 5, 8, 9, 13, 17, 25])
def test_a_full_context_keeps_its_later_half(prompt):
    """Against reading all of the window again for every symbol, which no cache can do wrong."""
    task = make_task(plain_text("the quick brown fox jumps over the lazy dog. " * 6), context=8)
    redraw(task.model, 0)
    numbers = task.data.tokens[:prompt].tolist()
    window, expected, rule, draws = numbers[-8:], [], SampleText(tokens=30), generator(0, "sample")
    with task.evaluating():
        for parameter in task.model.parameters():
            parameter.mul_(20)  # a fresh net says nearly the same after everything
        sampled = rule.next_tokens(task, numbers)
        for _ in range(30):
            if len(window) > 8:
                window = window[-4:]
            window.append(rule.choice(task.model(torch.tensor([window]))[0, -1], draws))
            expected.append(window[-1])
    assert sampled == expected
