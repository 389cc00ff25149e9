"""Other legal values of an option, found from its type."""

import types
import typing
from itertools import chain

from zoo.config.options import checked

STEPS = (1, 2, 4, 8)  # by which whole numbers are moved
LENGTHS = (1, 2, 3)  # of lists that stand in the place of none


def others(target, option, annotation, default):
    """Values of an option beside its default that its type allows, the likeliest first.

    Args:
        target: the class.
        option: its name.
        annotation: its type.
        default: the value that is left out.
    """
    for value in proposed(annotation, default):
        if value != default or type(value) is not type(default):
            try:
                checked(target, {option: value}, "here")
            except Exception:  # out of range
                continue
            yield value


def proposed(annotation, default):
    """Values of about this type, in range or not; text has none."""
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return proposed(members[0], default)
    if origin in (typing.Union, types.UnionType):
        return chain(*(proposed(m, default if fits(m, default) else None) for m in members))
    if origin is typing.Literal:
        return iter(members)
    if origin is list:
        return lists(members[0], default)
    if annotation is bool:
        return iter((True, False))
    if annotation is int:
        start = default or 0
        return iter([*(start + step for step in STEPS), *(start - step for step in STEPS)])
    if annotation is float:
        start = default or 0.0
        return iter([1.5 * start, start / 2, start + 0.5, start + 1.5, 0.25])
    return iter(())


def lists(member, default):
    """Lists with another first entry, or short ones in the place of none."""
    if default:
        return ([value, *default[1:]] for value in proposed(member, default[0]))
    return ([value] * length for length in LENGTHS for value in proposed(member, None))


def fits(annotation, value):
    """Whether a value is roughly of a type of a union."""
    base = typing.get_args(annotation)[0] if typing.get_origin(annotation) else annotation
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return fits(base, value)
    if origin is typing.Literal:
        return value in typing.get_args(annotation)
    return isinstance(value, origin or annotation)


def choice(annotation):
    """Whether a type names its values: each of them must count."""
    if annotation is bool or typing.get_origin(annotation) is typing.Literal:
        return True
    return any(choice(member) for member in typing.get_args(annotation))
