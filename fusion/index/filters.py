"""The filter language of Redis vector sets: parsed strictly, evaluated here, and rewritten for Redis.

Both indexes accept exactly what this parser accepts. Redis is sent the fully bracketed form, so the two cannot
disagree on precedence; where Redis reads an expression in a way that surprises (``not .a == 1`` is ``(not .a) == 1``,
``1 < .a < 3`` compares a truth value with 3), it is refused with the clear way to write it.

An item that lacks any field that the filter names does not match, as in Redis. Truth values count as 1 and 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from config.errors import Reason, RejectEvent
from config.vocabulary import Attributes
from fusion.index import filter_values as values
from fusion.index.filter_tokens import MAX_LENGTH, Kind, Token, tokenise

MAX_DEPTH = 40
"""Brackets, negations and powers within one another; deeper ones are a mistake or an attack on the stack."""

MAX_OPERATIONS = 150
"""Operators of a filter, commas apart: each nests the evaluation by one."""

Evaluate = Callable[[Attributes], Any]

_COMPARE = frozenset({"==", "!=", ">", ">=", "<", "<=", "in"})
_SPELLING = {"and": "and", "&&": "and", "or": "or", "||": "or"}


@dataclass(frozen=True, slots=True)
class _Node:
    text: str
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that parsed.

    Args:
        canonical: The same, fully bracketed: what Redis is sent.
        fields: Every attribute it names; an item that lacks one does not match.
    """

    canonical: str
    fields: frozenset[str]
    evaluate: Evaluate

    def matches(self, attributes: Attributes) -> bool:
        """Whether an item with these attributes is selected."""
        if any(name not in attributes for name in self.fields):
            return False
        return values.truth(self.evaluate(attributes))


@lru_cache(maxsize=1024)
def parse_filter(source: str) -> Filter:
    """Parse a filter; the latest ones are remembered.

    Raises:
        RejectEvent: ``INVALID_FILTER`` naming the place, what was found and what was expected.
    """
    if len(source) > MAX_LENGTH:
        raise _refusal(f"is {len(source)} characters long; {MAX_LENGTH} are allowed")
    parser = _Parser(tokenise(source))
    node = parser.parse()
    return Filter(node.text, frozenset(parser.fields), node.evaluate)


def _refusal(message: str) -> RejectEvent:
    return RejectEvent(Reason.INVALID_FILTER, message, field="filter")


class _Parser:
    """Recursive descent, one method a level of precedence, loosest first."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._operations = sum(token.kind is Kind.OPERATOR and token.text not in "(),[]" for token in tokens)
        self.fields: set[str] = set()

    def parse(self) -> _Node:
        if self._operations > MAX_OPERATIONS:
            raise _refusal(f"has {self._operations} operators, {MAX_OPERATIONS} are allowed: write .a in [1, 2] for or")
        node = self._either()
        if self._now.kind is not Kind.END:
            self._fail("an operator such as and, or, ==, >, in")
        return node

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def _is(self, *spellings: str) -> bool:
        return self._now.kind is Kind.OPERATOR and self._now.text in spellings

    def _fail(self, expected: str) -> NoReturn:
        found = repr(self._now.text) if self._now.kind is not Kind.END else "the end"
        raise _refusal(f"does not parse at character {self._now.start + 1}: found {found}, expected {expected}")

    def _left(self, level: Callable[[], _Node], *spellings: str) -> _Node:
        node = level()
        while self._is(*spellings):
            node = _binary(self._take().text, node, level())
        return node

    def _either(self) -> _Node:
        return self._left(self._both, "or", "||")

    def _both(self) -> _Node:
        return self._left(self._negation, "and", "&&")

    def _negation(self) -> _Node:
        if not self._is("not", "!"):
            return self._comparison()
        self._take()
        node = self._deeper(self._negation) if self._is("not", "!") else self._operand()
        if self._now.kind is Kind.OPERATOR and not self._is("and", "&&", "or", "||", ")"):
            self._fail("brackets around what is negated: not (…)")
        inner = node.evaluate
        return _Node(f"(not {node.text})", lambda attributes: values.negate(inner(attributes)))

    def _comparison(self) -> _Node:
        node = self._sum()
        if self._now.kind is not Kind.OPERATOR or self._now.text not in _COMPARE:
            return node
        operator = self._take().text
        right = self._list() if operator == "in" and self._is("[") else self._sum()
        if self._now.kind is Kind.OPERATOR and self._now.text in _COMPARE:
            self._fail("and, or, or the end: write .a > 1 and .a < 3 instead of a chain")
        return _binary(operator, node, right)

    def _sum(self) -> _Node:
        return self._left(self._product, "+", "-")

    def _product(self) -> _Node:
        return self._left(self._power, "*", "/", "%")

    def _power(self) -> _Node:
        base = self._operand()
        return _binary(self._take().text, base, self._deeper(self._power)) if self._is("**") else base

    def _operand(self) -> _Node:
        if self._is("("):
            return self._brackets()
        if self._now.kind in (Kind.NUMBER, Kind.TEXT):
            return _literal(self._take())
        if self._now.kind is not Kind.FIELD:
            self._fail('a field such as .year, a number, a text such as "cat", or (')
        name = self._take().text[1:]
        self.fields.add(name)
        return _Node(f".{name}", lambda attributes: values.of_attribute(attributes[name]))

    def _brackets(self) -> _Node:
        self._take()
        node = self._deeper(self._either)
        if not self._is(")"):
            self._fail(")")
        self._take()
        return node

    def _deeper(self, level: Callable[[], _Node]) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refusal(f"has more than {MAX_DEPTH} brackets, negations or powers within one another")
        node = level()
        self._depth -= 1
        return node

    def _list(self) -> _Node:
        self._take()
        members: list[Token] = []
        while not self._is("]"):
            if members and not self._is(","):
                self._fail(", or ]")
            if members:
                self._take()
            if self._now.kind not in (Kind.NUMBER, Kind.TEXT):
                self._fail('a number or a text such as "cat"')
            members.append(self._take())
        self._take()
        found = tuple(member.value for member in members)
        return _Node(f"[{', '.join(member.text for member in members)}]", lambda _: found)


def _literal(token: Token) -> _Node:
    value = token.value
    return _Node(token.text, lambda _: value)


def _binary(operator: str, left: _Node, right: _Node) -> _Node:
    spelling = _SPELLING.get(operator, operator)
    apply, one, other = values.OPERATORS[spelling], left.evaluate, right.evaluate
    return _Node(f"({left.text} {spelling} {right.text})", lambda attributes: apply(one(attributes), other(attributes)))
