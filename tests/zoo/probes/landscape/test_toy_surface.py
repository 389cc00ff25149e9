"""The two-layer toy against its closed forms."""

import numpy as np
import pytest

from zoo.probes.landscape.toy_surface import toy_figure, toy_surface

GAINS = {
    "none": lambda v, w: v * w,
    "block": lambda v, w: 1 + v * w,
    "layer": lambda v, w: (1 + v) * (1 + w),
}


@pytest.mark.parametrize("skip", GAINS)
def test_the_net_multiplies_by_the_closed_form(skip):
    shape = toy_surface(skip, target=0.7, points=9)
    v, w = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9), indexing="ij")
    np.testing.assert_allclose(shape.gain, GAINS[skip](v, w), atol=1e-12)
    np.testing.assert_allclose(shape.loss, (GAINS[skip](v, w) - 0.7) ** 2 / 2, atol=1e-12)


@pytest.mark.parametrize("target", [-1.0, 0.0, 0.5, 1.0, 3.0])
def test_the_target_says_which_net_starts_at_a_saddle(target):
    without, around = toy_surface("none", target).origin, toy_surface("block", target).origin
    assert without.eigenvalues == pytest.approx((-abs(target), abs(target)))
    assert around.eigenvalues == pytest.approx((-abs(1 - target), abs(1 - target)))
    assert without.kind == ("saddle" if target else "minimum")
    assert around.kind == ("saddle" if target != 1 else "minimum")


@pytest.mark.parametrize("target", [-1.0, 0.5, 1.0, 3.0])
def test_skips_around_each_layer_move_the_saddle_away(target):
    shape = toy_surface("layer", target)
    assert shape.saddle.weights == (-1, -1)
    assert shape.saddle.kind == "saddle"
    assert shape.saddle.eigenvalues == pytest.approx((-abs(target), abs(target)))
    assert shape.origin.kind == ("minimum" if target == 1 else "slope")
    assert shape.origin.slope == pytest.approx(abs(1 - target) * 2**0.5)


def test_the_figure_says_what_each_start_is():
    figure = toy_figure((1.0, 0.0))
    figure.canvas.draw()
    starts = [axis.get_legend().get_texts()[0].get_text() for axis in figure.axes[:6]]
    assert starts == [
        "start: saddle",
        "start: minimum",
        "start: minimum",
        "start: minimum",
        "start: saddle",
        "start: slope",
    ]
