"""Attributes: what filters see and results show, checked so that one bad value is named and nothing is guessed."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from config.vocabulary import Scalar

MAX_ATTRIBUTES = 64
MAX_STRING_CHARS = 4096
MAX_LIST_ITEMS = 256
# Filters compare numbers as 64-bit floats: beyond this, neighbouring whole numbers would be equal.
MAX_WHOLE_NUMBER = 2**53


def _check(value: Any) -> Any:
    """Say in one sentence what is wrong; pydantic's union would report four errors for one bad value."""
    if isinstance(value, list | tuple):
        return _check_list(value)
    if not isinstance(value, str | int | float):
        msg = "must be a string, a number, true, false, or a list of strings; flatten nested objects and drop nulls"
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns a ValueError, not a TypeError, into a refusal
    if isinstance(value, str) and len(value) > MAX_STRING_CHARS:
        msg = f"a string of {len(value)} characters; at most {MAX_STRING_CHARS} are allowed"
        raise ValueError(msg)
    if isinstance(value, int) and abs(value) > MAX_WHOLE_NUMBER:
        msg = "a whole number beyond 2^53 cannot be compared exactly; send it as a string"
        raise ValueError(msg)
    return value


def _check_list(values: list[Any] | tuple[Any, ...]) -> list[Any]:
    if len(values) > MAX_LIST_ITEMS:
        msg = f"a list of {len(values)} strings; at most {MAX_LIST_ITEMS} are allowed"
        raise ValueError(msg)
    if not all(isinstance(value, str) and len(value) <= MAX_STRING_CHARS for value in values):
        msg = f"a list may hold only strings of at most {MAX_STRING_CHARS} characters"
        raise ValueError(msg)
    return list(values)


AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""Filters can name those made of ASCII letters, digits, ``_`` and ``-``."""

AttributeValue = Annotated[Scalar | list[str], BeforeValidator(_check)]

WireAttributes = Annotated[dict[AttributeName, AttributeValue], Field(max_length=MAX_ATTRIBUTES)]
