"""Options that have no effect beside the values of others."""

from __future__ import annotations

from zoo.config import registry
from zoo.config.config import Config
from zoo.config.options import as_word
from zoo.config.tree import flatten


def idle(config: Config) -> list[str]:
    """A line for each option that was changed and has no effect.

    A class lists in `counts_with`, for each such option, keys of any group and the values of
    these keys with which the option has an effect.
    """
    flat, notes = flatten(config.plain()), []
    for group, section in config.sections.items():
        usual = registry.options(group, config.choices[group])
        needs = getattr(registry.resolve(group, config.choices[group]), "counts_with", {})
        for option, keys in needs.items():
            actual = {key: as_word(flat.get(key, flat.get(f"choices.{key}"))) for key, _ in keys}
            unmet = [(key, values) for key, values in keys if actual[key] not in values]
            if section[option] != usual[option] and unmet:
                what = f"{group}.{option}={as_word(section[option])} counts for nothing"
                needed = " ".join(f"{key}={'|'.join(values)}" for key, values in unmet)
                notes.append(f"{what}: it is for {needed}")
    return notes
