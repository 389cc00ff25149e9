"""Options that count for nothing beside the others."""

from __future__ import annotations

from zoo import registry
from zoo.config import Config
from zoo.options import as_word
from zoo.tree import flatten


def idle(config: Config) -> list[str]:
    """A line for each option that was changed and counts for nothing.

    A class says by `counts_with` for which of its options there is a key, of any group, with whose
    values alone the option counts.
    """
    flat, found = flatten(config.plain()), []
    for group, section in config.sections.items():
        usual = registry.options(group, config.choices[group])
        needs = getattr(registry.resolve(group, config.choices[group]), "counts_with", {})
        for option, (key, values) in needs.items():
            given = flat.get(key, flat.get(f"choices.{key}"))
            if section[option] != usual[option] and given not in values:
                what = f"{group}.{option}={as_word(section[option])} counts for nothing"
                found.append(f"{what}: it is for {key}={'|'.join(values)}")
    return found
