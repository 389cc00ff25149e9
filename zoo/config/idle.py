"""Options that count for nothing beside the others."""

from __future__ import annotations

from zoo.config import registry
from zoo.config.config import Config
from zoo.config.options import as_word
from zoo.config.tree import flatten


def idle(config: Config) -> list[str]:
    """A line for each option that was changed and counts for nothing.

    A class says by `counts_with` for which of its options there are keys, of any group, with whose
    values alone the option counts.
    """
    flat, notes = flatten(config.plain()), []
    for group, section in config.sections.items():
        usual = registry.options(group, config.choices[group])
        needs = getattr(registry.resolve(group, config.choices[group]), "counts_with", {})
        for option, keys in needs.items():
            given = {key: as_word(flat.get(key, flat.get(f"choices.{key}"))) for key, _ in keys}
            lost = [f"{key}={'|'.join(values)}" for key, values in keys if given[key] not in values]
            if section[option] != usual[option] and lost:
                what = f"{group}.{option}={as_word(section[option])} counts for nothing"
                notes.append(f"{what}: it is for {' '.join(lost)}")
    return notes
