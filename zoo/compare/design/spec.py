"""What a comparison declares: arms, tasks, pairs and the smallest effects that matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from zoo.compare.design.axes import Axes, Values
from zoo.compare.design.engine_words import take_engine
from zoo.config import registry
from zoo.config.options import checked, fields, is_number
from zoo.config.overrides import axes
from zoo.config.yaml_file import read_yaml
from zoo.errors import ConfigError, suggest

Count = Annotated[int, Ge(1), Le(10_000)]
Published = dict[str, dict[str, dict[str, float]]]  # score by task, name of the row and depth


class Comparison:
    """Options of `compare`; a file `configs/compare/NAME.yaml` gives them, words change them.

    Args:
        arms: for each arm's name the words that make it; axes of the command line replace them.
        tasks: for each task its words; lists are axes.
        baseline: the arm, or value of an axis, that the others are compared with. None: `plain`,
            or else the first one. Several values are those of one arm.
        pairs: seeds 0 to pairs - 1 for every arm, where no `seed=` is given; `auto`: as many as
            decide every primary hypothesis.
        limit: the most pairs of `auto`; None: as many as show a difference that lies one standard
            deviation beyond the smallest effect in 80 % of comparisons.
        effects: for each task the smallest difference of its primary metric that matters.
        references: for each task the value of its primary metric that counts as 1, chance being 0,
            where scores are averaged over tasks.
        published: for each task rows of papers, scores by depth, which figures show with the runs.
        noise: compare the baseline with itself under other seeds, which measures the noise.
        vary: `data` gives each pair data of its own, where the source can; both arms share them.
            A finite set keeps one split for all pairs where something is tuned.
        tune: options of which every arm gets its own best value on validation; lr: optimizer.lr.
        tune_seeds: seeds of tuning, which no pair has.
        why: whether the streams of the first pair are probed at every deepest place, at the start
            and at the end; None: where its runs are so long that this takes about 3 % at most.
        max_cells: more runs are refused.
        engine: what runs them, see `list engine`; `engine.OPTION` are options of its own.
        workers: the most jobs at a time; None: as many as the engine has room for.
        together: the most runs of one arm at one place that a worker trains at once, where its net
            allows it; other runs train alone.
        minutes: after which a run is taken to hang.
        dry_run: print the runs with an estimate of their time, and run nothing.
        dir: the folder; None: runs/compare-NAME.
        mirror: whether W&B receives every run and the report.
    """

    def __init__(
        self,
        arms: dict[str, dict[str, Any]] = {},  # noqa: B006 (never changed)
        tasks: dict[str, dict[str, Any]] = {},  # noqa: B006
        baseline: Any = None,
        pairs: Count | Literal["auto"] = 8,
        limit: Count | None = None,
        effects: dict[str, Annotated[float, Ge(0)]] = {},  # noqa: B006
        references: dict[str, float] = {},  # noqa: B006
        published: dict[str, dict[str, Any]] = {},  # noqa: B006
        noise: bool = False,
        vary: Literal["data", "nothing"] = "data",
        tune: list[str] = [],  # noqa: B006
        tune_seeds: Count = 2,
        why: bool | None = None,
        max_cells: Count = 2000,
        engine: str = "local",
        workers: Count | None = None,
        together: Count = 1,
        minutes: Annotated[float, Gt(0)] = 60.0,
        dry_run: bool = False,
        dir: str | None = None,
        mirror: bool = True,
    ):
        self.arms, self.tasks, self.baseline = arms, tasks, baseline
        self.pairs, self.limit = pairs, limit
        self.effects, self.references, self.noise = effects, references, noise
        self.vary = vary
        self.published = with_text_keys(published)
        self.tune, self.tune_seeds, self.why = tune, tune_seeds, why
        self.max_cells, self.engine, self.engine_options = max_cells, engine, Values()
        self.workers, self.together = workers, together
        self.minutes, self.dry_run, self.dir, self.mirror = minutes, dry_run, dir, mirror


def comparison_names() -> list[str]:
    """The names of the comparisons that have a file."""
    return sorted(path.stem for home in registry.homes() for path in (home / "compare").glob("*"))


def comparison_file(name: str) -> Path:
    """The file that declares a comparison; ConfigError with a suggestion where there is none."""
    for home in registry.homes():
        path = home / "compare" / f"{name}.yaml"
        if name in comparison_names() and path.is_file():
            return path
    raise ConfigError(
        f"unknown comparison {name!r}", f"compare={name}", suggest(name, comparison_names())
    )


def declare(words: Sequence[str]) -> tuple[str, Comparison, Axes]:
    """The name and the options of a comparison, and the axes that the command line adds.

    Args:
        words: of the command line.

    Errors:
        ConfigError: the comparison or an option is unknown, or an option has a wrong value.
    """
    named = axes([word.removeprefix("compare.") for word in words])
    name = str(take_single(named, "compare", ["default"]))
    declared = read_yaml(comparison_file(name))
    engine, of_engine = take_engine(named, declared)
    known = fields(Comparison)
    check_pairs(named)
    if len(named.get("logger", [])) > 1:  # which makes no arms: it changes no run
        raise ConfigError("logger has several values", "logger=...", "give one")
    for name in named.get("logger", []):
        registry.factory("logger", str(name), {})()  # one whose package is not there is refused
    if len(baseline := named.get("baseline", [])) > 1:  # an arm by its values
        named["baseline"] = [", ".join(map(str, baseline))]
    if "tune" in named:  # one option or several
        named["tune"] = [[n for v in named["tune"] for n in (v if isinstance(v, list) else [v])]]
    changes: Values = {
        key: take_single(named, key, named[key]) for key in list(named) if key in known
    }
    options = checked(Comparison, {**declared, **changes, "engine": engine}, f"compare={name}")
    check_limit(options)
    comparison = Comparison(**options)
    comparison.engine_options = of_engine
    return name, comparison, named


def check_pairs(named: Axes) -> None:
    """ConfigError where pairs are no number, or given both by their number and their seeds."""
    if "pairs" in named and "seed" in named:
        raise ConfigError("pairs and seed both say how many", "pairs=...", "give one of the two")
    for pairs in named.get("pairs", []):
        if isinstance(pairs, str) and pairs.lower() != "auto":
            fix = "give a number, such as pairs=8, or pairs=auto"
            raise ConfigError(f"pairs={pairs!r} is refused", "pairs=...", fix)


def check_limit(options: Values) -> None:
    """ConfigError where a limit is given to a number of pairs that is fixed."""
    if options.get("limit") and options.get("pairs") != "auto":
        raise ConfigError("limit is of pairs=auto alone", "limit=...", "add pairs=auto")


def take_single(named: Axes, key: str, default: list[Any]) -> Any:
    """Removes an option from the axes and returns its only value; ConfigError for several."""
    values = named.pop(key, default)
    if len(values) != 1:
        raise ConfigError(f"{key} has {len(values)} values", f"{key}=...", "give one")
    return values[0]


def with_text_keys(published: dict[str, dict[str, Any]]) -> Published:
    """Published scores with depths as text, as JSON has keys; ConfigError for a wrong score.

    Args:
        published: score by task, name of the row and depth.
    """
    with_texts: Published = {}
    for task, rows in published.items():
        for name, row in rows.items():
            scores = row.items() if isinstance(row, dict) else [("", row)]
            for depth, value in scores:
                if not (type(depth) is int and depth > 0 and is_number(value)):
                    wrong = f"{depth}: {value} is refused".removeprefix(": ")
                    raise ConfigError(wrong, f"published.{task}.{name}", "give DEPTH: SCORE")
            texts = {str(depth): float(value) for depth, value in sorted(scores)}
            with_texts.setdefault(task, {})[name] = texts
    return with_texts
