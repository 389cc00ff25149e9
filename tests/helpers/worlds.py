"""Worlds for simulations: arms that do not differ, and differences whose median is 0."""

import numpy as np
from scipy import stats

CHANCE = -30  # the score of a run that failed, where others are near 0
DELTA = 0.5  # the smallest difference that matters


def failing(rng, shape, rate):
    """Normal scores, of which some are at chance."""
    return np.where(rng.random(shape) < rate, CHANCE, rng.normal(size=shape))


def one_arm_fails(rng, shape, rate):
    """Differences of which some are a failure of the arm, the others above 0 to make up for it."""
    centre = -stats.norm.ppf((0.5 - rate) / (1 - rate))
    return np.where(rng.random(shape) < rate, CHANCE, rng.normal(centre, 1, shape))


ARMS = {  # scores of any arm
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape),
    "log-normal": lambda rng, shape: rng.lognormal(size=shape),
    "bimodal": lambda rng, shape: rng.normal(rng.choice([0, 3], shape, p=[0.1, 0.9]), 0.1),
    "ties": lambda rng, shape: np.round(rng.normal(size=shape)),
    "ceiling": lambda rng, shape: 100 * rng.binomial(360, 0.995, shape) / 360,
    "all arms fail in 1 %": lambda rng, shape: failing(rng, shape, 0.01),
    "all arms fail in 10 %": lambda rng, shape: failing(rng, shape, 0.1),
}  # fmt: skip


def difference_of(arm):
    """A world of differences of two arms of a kind."""
    return lambda rng, shape: arm(rng, shape) - arm(rng, shape)


DIFFERENCES = {name: difference_of(arm) for name, arm in ARMS.items()} | {
    "skewed": lambda rng, shape: rng.exponential(size=shape) - np.log(2),
    "one arm fails in 1 %": lambda rng, shape: one_arm_fails(rng, shape, 0.01),
    "one arm fails in 5 %": lambda rng, shape: one_arm_fails(rng, shape, 0.05),
    "one arm fails in 10 %": lambda rng, shape: one_arm_fails(rng, shape, 0.1),
    "another scale in each pair": lambda rng, shape: rng.normal(0, 10 ** rng.normal(size=shape)),
}
EQUAL_MEANS = {  # the arms differ in the median of their differences, not in the mean
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
    "one arm fails in 10 %": lambda rng, shape: (
        np.where(rng.random(shape) < 0.1, CHANCE, rng.normal(size=shape)) + 0.1 * -CHANCE
    ),
}
SPREADS = (0.02, 0.1, 1.0, 0.3, 0.05)  # of tasks that are unlike
GAPS = (0.4, -0.3, 0.1, 0.2, 0.0)


def of_tasks(world):
    """Scores of two arms in tasks, `[2, tasks, pairs]`, of which every one is alike."""
    return lambda rng, tasks, pairs: world(rng, (2, tasks, pairs))


def unlike(rng, tasks, pairs):
    """Scores of two arms in tasks of other gaps and other spreads."""
    scores = rng.normal(size=(2, tasks, pairs)) * np.asarray(SPREADS)[:tasks, None]
    scores[0] += np.asarray(GAPS)[:tasks, None]
    return scores


def skewed_gaps(rng, tasks, pairs):
    """Scores of two arms whose differences are exponential."""
    return np.stack([rng.exponential(size=(tasks, pairs)), 0.05 * rng.normal(size=(tasks, pairs))])


def skewed_and_wide(rng, tasks, pairs):
    """Scores of two arms whose exponential differences in the last task outweigh all others."""
    scores = skewed_gaps(rng, tasks, pairs)
    scores[:, -1] *= 20
    return scores


TASKS = {name: of_tasks(ARMS[name]) for name in list(ARMS)[:6]} | {
    "skewed": skewed_gaps,
    "unlike tasks": unlike,
}
