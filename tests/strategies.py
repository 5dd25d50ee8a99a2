"""Hypothesis strategies for every event, read from the JSON Schemas that the contracts generate.

What they draw fits its schema. A few rules span several fields and are not in it (a rating needs the action ``rate``),
so some of it is refused all the same: a good mixture for whoever looks for what is neither served nor refused.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from workers.contracts.query import _HAS_NO_USE_FOR, _NEEDS, QueryKind
from workers.contracts.schema import CHANNELS
from workers.contracts.topics import Topic

Schema = dict[str, Any]
Json = st.SearchStrategy[Any]

_MOST: Final = 4
"""Longest list, and most entries of a mapping, unless the schema wants more."""
_TIMES: Final = st.sampled_from(
    ["2026-05-01T12:00:00Z", "2026-05-01T12:00:00.123456+09:00", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]
)
_WORDS: Final = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
_ANYTHING: Final = st.one_of(st.none(), st.booleans(), st.integers(), _WORDS)


@cache
def events_of(topic: Topic) -> st.SearchStrategy[bytes]:
    """Events of a topic, as they are written."""
    [schema] = [channel.adapter.json_schema() for channel in CHANNELS if channel.topic is topic]
    drawn = _value(schema, schema)
    return (drawn.map(_asked) if topic is Topic.QUERIES else drawn).map(
        lambda event: json.dumps(event, ensure_ascii=False).encode()
    )


def _asked(query: dict[str, Any]) -> dict[str, Any]:
    """A query of a kind has no use for some fields, which most of what is drawn would be refused for."""
    kind = QueryKind(query["kind"])
    kept = {name: value for name, value in query.items() if name not in _HAS_NO_USE_FOR[kind]}
    if kind is QueryKind.SUMMARIZE:
        return {name: kept[name] for name in ("query_id", "kind", "parts", "summary") if kept.get(name)}
    if not kept.get(_NEEDS[kind]):
        kept[_NEEDS[kind]] = [{"modality": "text", "text": "cat"}] if kind is QueryKind.SEARCH else "someone"
    return kept


def _value(schema: Schema, root: Schema) -> Json:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return st.deferred(lambda: _value(root["$defs"][name], root))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if "properties" not in schema and (choices := schema.get("anyOf", schema.get("oneOf"))):
        return st.one_of([_value(each, root) for each in choices])
    return _TYPES.get(schema.get("type", ""), lambda *_: _ANYTHING)(schema, root)


def _object(schema: Schema, root: Schema) -> Json:
    fields = {name: _value(each, root) for name, each in schema.get("properties", {}).items()}
    if not fields:
        more = schema.get("additionalProperties", {})
        names = _value({"type": "string"} | schema.get("propertyNames", {}), root)
        return st.dictionaries(names, _value(more if isinstance(more, dict) else {}, root), max_size=_MOST)
    constant = {name for name, each in schema["properties"].items() if "const" in each and name != "schema_version"}
    always = constant | set(schema.get("required", ()))
    drawn = st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in always},
        optional={name: each for name, each in fields.items() if name not in always},
    )
    if "oneOf" not in schema:
        return drawn
    sources = {each["required"][0] for each in schema["oneOf"]}  # exactly one of them
    return st.tuples(drawn, st.sampled_from(sorted(sources))).flatmap(
        lambda both: fields[both[1]].map(
            lambda value: {name: each for name, each in both[0].items() if name not in sources} | {both[1]: value}
        )
    )


def _array(schema: Schema, root: Schema) -> Json:
    least = schema.get("minItems", 0)
    return st.lists(_value(schema.get("items", {}), root), min_size=least, max_size=max(least, _MOST))


def _string(schema: Schema, _: Schema) -> Json:
    if schema.get("format") == "date-time":
        return _TIMES
    least, most = schema.get("minLength", 0), schema.get("maxLength", 40)
    drawn = st.from_regex(schema["pattern"]).map(lambda text: text.rstrip("\n")) if "pattern" in schema else _WORDS
    return drawn.map(lambda text: text[:most]).filter(lambda text: len(text) >= least)


def _integer(schema: Schema, _: Schema) -> Json:
    return st.integers(schema.get("minimum"), schema.get("maximum"))


def _number(schema: Schema, _: Schema) -> Json:
    low, high = (schema.get(f"{each}imum", schema.get(f"exclusive{each.title()}imum")) for each in ("min", "max"))
    bounds = {"exclude_min": "exclusiveMinimum" in schema, "exclude_max": "exclusiveMaximum" in schema}
    return st.floats(low, high, allow_nan=False, allow_infinity=False, **bounds)


_TYPES: Final[dict[str, Callable[[Schema, Schema], Json]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
}
