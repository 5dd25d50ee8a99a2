"""What filter operators do to values, as Redis vector sets do it: C numbers, texts that may be read as numbers."""

import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from config.vocabulary import Scalar

Value = float | str | tuple[float | str, ...]

_DECIMAL = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def of_attribute(attribute: Scalar | list[str]) -> Value:
    """An attribute as filters see it: every number and truth value a float, every list a tuple."""
    if isinstance(attribute, str):
        return attribute
    if isinstance(attribute, list):
        return tuple(attribute)
    return float(attribute)


def truth(value: Value) -> bool:
    """Zero and the empty text are false; lists, even empty ones, are true."""
    if isinstance(value, tuple):
        return True
    return value not in ("", 0.0)


def negate(value: Value) -> float:
    """1 for false, 0 for true."""
    return float(not truth(value))


def number(value: Value) -> float:
    """The number a value counts as: a text that is no number, and a list, count as 0."""
    if isinstance(value, float):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value)
    return 0.0


def equal(left: Value, right: Value) -> bool:
    """Two texts are compared as texts, everything else as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return number(left) == number(right)


def contains(left: Value, right: Value) -> bool:
    """Whether a list has an equal member, or a text holds a text."""
    if isinstance(right, tuple):
        return any(equal(left, member) for member in right)
    return isinstance(left, str) and isinstance(right, str) and left in right


def _numeric(apply: Callable[[float, float], float]) -> Callable[[Value, Value], float]:
    def on_values(left: Value, right: Value) -> float:
        with np.errstate(all="ignore"):  # as in C: 1/0 is infinite, 0/0 is not a number, neither stops a search
            return float(apply(np.float64(number(left)), np.float64(number(right))))

    return on_values


def _truthy(apply: Callable[[Value, Value], bool]) -> Callable[[Value, Value], float]:
    return lambda left, right: float(apply(left, right))


OPERATORS: Final[Mapping[str, Callable[[Value, Value], float]]] = MappingProxyType(
    {
        "or": _truthy(lambda left, right: truth(left) or truth(right)),
        "and": _truthy(lambda left, right: truth(left) and truth(right)),
        "==": _truthy(equal),
        "!=": _truthy(lambda left, right: not equal(left, right)),
        "in": _truthy(contains),
        ">": _numeric(operator.gt),
        ">=": _numeric(operator.ge),
        "<": _numeric(operator.lt),
        "<=": _numeric(operator.le),
        "+": _numeric(operator.add),
        "-": _numeric(operator.sub),
        "*": _numeric(operator.mul),
        "/": _numeric(np.divide),
        "%": _numeric(np.fmod),
        "**": _numeric(np.power),
    }
)
