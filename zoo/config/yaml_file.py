"""YAML files read as plain data: no tags that build objects, no key twice."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, parsed again only if the file has changed since.

    Errors:
        ConfigError: it is broken, with file and line, or cannot be read.
    """
    try:
        state = path.stat()
    except OSError:
        return parsed(path)  # says why
    return copy.deepcopy(parsed_once(path, state.st_ino, state.st_mtime_ns, state.st_size))


@functools.lru_cache(maxsize=512)
def parsed_once(path: Path, inode: int, changed: int, size: int) -> dict[str, Any]:
    """The content of a file in the state that these arguments describe, parsed once."""
    return parsed(path)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a YAML file, a mapping."""
    import yaml

    class Loader(yaml.CSafeLoader):
        """A loader that refuses a mapping with the same key twice."""

    def mapping(loader: Loader, node: yaml.MappingNode) -> dict[str, Any]:
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no plain word", key_node.start_mark
                )
        pairs = [(loader.construct_object(k, True), k, v) for k, v in node.value]
        for key, position, _ in pairs:
            if [p[0] for p in pairs].count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", position.start_mark
                )
        return {key: loader.construct_object(value, True) for key, _, value in pairs}

    def number(loader: Loader, node: yaml.ScalarNode) -> Any:
        if ":" in node.value:  # YAML 1.1 reads 4:00:00 as 14400, YAML 1.2 as the text that it is
            return node.value
        kind = node.tag.rpartition(":")[2]
        return (loader.construct_yaml_int if kind == "int" else loader.construct_yaml_float)(node)

    for kind in ("int", "float"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", number)
    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"broken YAML: {problem}", where, "correct this line") from None
    except OSError as error:
        raise ConfigError(
            error.strerror or "cannot be read", str(path), "name a readable file"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError("no mapping of keys to values", str(path), "write lines of key: value")
    return content
