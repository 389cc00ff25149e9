"""Options of a constructor: known, typed and in range, or refused in one line."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from zoo.errors import ConfigError, suggest

Options = dict[str, Any]
Need = tuple[str, tuple[str, ...]]  # a key, and the values with which an option has an effect
Needs = dict[str, tuple[Need, ...]]  # all needs of each option


@functools.cache
def fields(target: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Type and default of every option of a constructor.

    Errors:
        ConfigError: an option without a type.
    """
    options = {}
    call = target.__init__ if inspect.isclass(target) else target  # older Pythons look elsewhere
    for parameter in inspect.signature(call, eval_str=True).parameters.values():
        if parameter.default is not parameter.empty:
            if parameter.annotation is parameter.empty:
                what = f"the option {parameter.name} has no type"
                where = f"{target.__module__}.{target.__qualname__}"
                raise ConfigError(what, where, f"annotate it: {parameter.name}: float")
            options[parameter.name] = (parameter.annotation, parameter.default)
    return options


def checked(target: Callable[..., Any], values: Options, where: str, prefix: str = "") -> Options:
    """Options in the spelling and range of a constructor's annotations.

    Args:
        target: the class.
        values: the options.
        where: what the options belong to, for messages.
        prefix: what stands before an option's name in messages.

    Errors:
        ConfigError: an unknown option, a value of another type or out of its range.
    """
    from pydantic import ValidationError

    known = fields(target)
    values = {key: spelled(known.get(key, (None,))[0], value) for key, value in values.items()}
    for key in values:
        if key not in known:
            near = suggest(f"{prefix}{key}", [f"{prefix}{name}" for name in known])
            raise ConfigError(f"unknown option {prefix}{key}", where, near)
    try:
        model = strict_model(target)(**values)
    except ValidationError as error:
        nearest = max(
            error.errors(), key=lambda e: (not e["type"].endswith("_type"), len(e["loc"]))
        )
        key = str(nearest["loc"][0])
        raise ConfigError(
            f"{prefix}{key}={values[key]!r} is refused: {nearest['msg'].lower()}",
            where,
            f"give another value, such as {as_word(known[key][1])}",
        ) from None
    return {key: getattr(model, key) for key in values}


@functools.cache
def strict_model(target: Callable[..., Any]) -> Any:
    """A pydantic model of a constructor's options."""
    from pydantic import ConfigDict, create_model

    strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return create_model("Options", __config__=strict, **fields(target))  # type: ignore[call-overload]


def spelled(annotation: Any, value: Any) -> Any:
    """A text in the spelling of the one word of the annotation that differs in capitals alone.

    >>> from typing import Literal
    >>> spelled(Literal["cora", "pubmed"] | None, "Cora"), spelled(str | None, "Cora")
    ('cora', 'Cora')
    """
    if not isinstance(value, str):
        return value
    alike = [word for word in words(annotation) if word.lower() == value.lower()]
    return alike[0] if len(alike) == 1 and value not in alike else value


def words(annotation: Any) -> list[str]:
    """The texts that an annotation lists as `Literal`."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return [word for word in inner if isinstance(word, str)]
    wrapped = get_origin(annotation) in (Union, UnionType, Annotated)
    return [word for each in inner for word in words(each)] if wrapped else []


def as_word(value: Any) -> str:
    """A value as the command line takes it.

    >>> as_word(None), as_word(True), as_word([1, 2]), as_word("pre")
    ('null', 'true', '[1, 2]', 'pre')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)


def is_number(value: object) -> bool:
    """Whether a value is a number, which true and false are not.

    >>> is_number(1), is_number(0.5), is_number(True), is_number("1")
    (True, True, False, False)
    """
    return type(value) in (int, float)
