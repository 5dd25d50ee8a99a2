"""The words of a filter: numbers, quoted texts, fields and operators, each with its place."""

import re
from dataclasses import dataclass
from enum import StrEnum

from config.errors import Reason, RejectEvent

MAX_LENGTH = 4096
"""Characters of a filter."""


class Kind(StrEnum):
    """What a token is."""

    NUMBER = "number"
    TEXT = "text"
    FIELD = "field"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A word as written, where it starts (from 0), and what it stands for."""

    kind: Kind
    text: str
    start: int
    value: float | str = ""


# A minus belongs to a number only where an operand is due: `.a -1` is a difference.
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.])")
_TEXT = re.compile(r'"[^"]*"|\'[^\']*\'')
_FIELD = re.compile(r"\.[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"\*\*|==|!=|>=|<=|&&|\|\||[()\[\],!<>*/%+-]|(?:and|or|not|in)\b")
_SPACE = re.compile(r"[ \t\r\n]*")
_CLOSES = frozenset({")", "]"})


def tokenise(source: str) -> list[Token]:
    """Part a filter into words, an ``END`` last.

    Raises:
        RejectEvent: ``INVALID_FILTER`` at the first character that begins no word.
    """
    tokens: list[Token] = []
    at = _skip(source, 0)
    while at < len(source):
        tokens.append(_next(source, at, operand_due=_operand_due(tokens)))
        at = _skip(source, at + len(tokens[-1].text))
    return [*tokens, Token(Kind.END, "", len(source))]


def _skip(source: str, at: int) -> int:
    match = _SPACE.match(source, at)
    return match.end() if match else at


def _operand_due(tokens: list[Token]) -> bool:
    return not tokens or (tokens[-1].kind is Kind.OPERATOR and tokens[-1].text not in _CLOSES)


def _next(source: str, at: int, *, operand_due: bool) -> Token:
    if (operand_due or source[at] != "-") and (match := _NUMBER.match(source, at)):
        return Token(Kind.NUMBER, match[0], at, float(match[0]))
    if match := _TEXT.match(source, at):
        return _text(match[0], at)
    if match := _FIELD.match(source, at):
        return Token(Kind.FIELD, match[0], at)
    if match := _OPERATOR.match(source, at):
        return Token(Kind.OPERATOR, match[0], at)
    raise _unknown(source, at)


def _text(quoted: str, at: int) -> Token:
    # Redis neither unescapes a backslash in a filter nor matches it reliably: better refused than never matching.
    if "\\" in quoted:
        message = (
            f"holds a backslash at character {at + 1}: quote a text that holds \" with ', and one that holds ' with \""
        )
        raise RejectEvent(Reason.INVALID_FILTER, message, field="filter")
    return Token(Kind.TEXT, quoted, at, quoted[1:-1])


def _unknown(source: str, at: int) -> RejectEvent:
    word = (re.compile(r"\S+").match(source, at) or [source[at]])[0][:40]
    if word.startswith(("'", '"')):
        hint = f"a closing {word[0]}"
    elif word == "=":
        hint = "=="
    elif word.isidentifier():
        hint = f'a field (.{word}), a text ("{word}"), or an operator such as and, or, not, in'
    else:
        hint = 'a field such as .year (letters, digits and _), a number, a text such as "cat", or an operator'
    message = f"does not parse at character {at + 1}: found {word!r}, expected {hint}"
    return RejectEvent(Reason.INVALID_FILTER, message, field="filter")
