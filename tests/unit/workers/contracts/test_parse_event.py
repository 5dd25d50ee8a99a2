"""From bytes to events: every wrong input is one refusal that names the field and the way out."""

import json
from typing import Any

import pytest

from config.errors import Reason, RejectEvent
from config.vocabulary import QueryKind
from workers.contracts.content import CONTENT_EVENTS, ContentUpsert
from workers.contracts.interaction import INTERACTION_EVENTS
from workers.contracts.parse import parse_event, salvage
from workers.contracts.query import QUERIES

TEXT_PART = {"modality": "text", "text": "cat"}


def refusal(event: Any, adapter: Any, **options: Any) -> RejectEvent:
    """Parse what must be refused and return the refusal."""
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    with pytest.raises(RejectEvent) as caught:
        parse_event(value, adapter, **options)
    return caught.value


def upsert(**fields: Any) -> dict[str, Any]:
    """A good upsert with some fields replaced."""
    return {"type": "content.upsert", "item_id": "a", "modalities": {"text": {"text": "cat"}}} | fields


def query(**fields: Any) -> dict[str, Any]:
    """A good query with some fields replaced."""
    return {"query_id": "q", "kind": "search", "parts": [TEXT_PART]} | fields


def interaction(**fields: Any) -> dict[str, Any]:
    """A good interaction with some fields replaced."""
    return {"type": "interaction", "event_id": "e", "user_id": "u", "item_id": "a", "action": "click"} | fields


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xfe", Reason.NOT_UTF8),
        (b"", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"cat", Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b'{"item_id": "\\ud800"}', Reason.NOT_JSON),
        (b"[]", Reason.INVALID_EVENT),
        (b"null", Reason.INVALID_EVENT),
        (b"{}", Reason.INVALID_EVENT),
    ],
)
def test_bytes_that_are_no_event_are_refused_with_their_reason(value: bytes, reason: Reason):
    """Bytes that hold no event at all are refused, each with the reason that says why."""
    assert refusal(value, CONTENT_EVENTS).reason is reason


def test_a_record_without_value_is_refused():
    """A bare tombstone on an input topic is no event; the message says what to send instead."""
    with pytest.raises(RejectEvent, match="delete event"):
        parse_event(None, CONTENT_EVENTS)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (upsert(modalites={}), "modalites"),
        (upsert(item_id=7), "item_id"),
        (upsert(item_id=""), "item_id"),
        (upsert(item_id="a\nb"), "item_id"),
        (upsert(item_id="a" * 257), "item_id"),
        (upsert(modalities={}), "modalities"),
        (upsert(modalities={"text": {"text": " \n"}}), "modalities.text.text"),
        (upsert(modalities={"text": {"text": "x" * 100_001}}), "modalities.text.text"),
        (upsert(modalities={"text": {"text": "x", "langauge": "en"}}), "modalities.text.langauge"),
        (upsert(modalities={"image": {}}), "modalities.image"),
        (upsert(modalities={"image": {"uri": "https://h/a", "data": "AAAA"}}), "modalities.image"),
        (upsert(modalities={"image": {"uri": "no address"}}), "modalities.image.uri"),
        (upsert(modalities={"location": {"latitude": 91, "longitude": 0}}), "modalities.location.latitude"),
        (upsert(modalities={"location": {"latitude": 0, "longitude": "0"}}), "modalities.location.longitude"),
        (
            upsert(modalities={"sensor": {"channels": ["a", "b"], "sample_rate_hz": 1, "values": [[1, 2], [3]]}}),
            "modalities.sensor",
        ),
        (
            upsert(modalities={"sensor": {"channels": ["a", "a"], "sample_rate_hz": 1, "values": [[1, 2]]}}),
            "modalities.sensor",
        ),
        (upsert(attributes={"a": {"b": 1}}), "attributes.a"),
        (upsert(attributes={"a": None}), "attributes.a"),
        (upsert(attributes={"a": ["x", 1]}), "attributes.a"),
        (upsert(attributes={"a": 2**60}), "attributes.a"),
        (upsert(attributes={str(n): n for n in range(65)}), "attributes"),
        (upsert(occurred_at="2026-05-01T12:00:00"), "occurred_at"),
        (upsert(occurred_at=1777636800), "occurred_at"),
    ],
)
def test_a_wrong_content_event_names_the_field(event: dict[str, Any], field: str):
    """Each wrong field of a content event is refused under its own path."""
    error = refusal(event, CONTENT_EVENTS)
    assert (error.reason, error.field) == (Reason.INVALID_EVENT, field)


def summary(**fields: Any) -> dict[str, Any]:
    """A query for a summary."""
    return {"query_id": "q", "kind": "summarize"} | fields


@pytest.mark.parametrize(
    "fields",
    [
        {"item_id": "a"},
        {"item_ids": ["a", "b"], "parts": [TEXT_PART], "summary": {"frames": 0, "relevance": 1, "diversity": 0}},
        {"parts": [TEXT_PART], "k": 100, "filter": ".year > 2020", "user_id": "u", "personalise": 0.5},
    ],
)
def test_a_summary_is_of_items_or_of_what_is_found(fields: dict[str, Any]):
    """Named items may have parts beside them, which steer; the search's own fields choose what is found."""
    assert parse_event(json.dumps(summary(**fields)).encode(), QUERIES).kind is QueryKind.SUMMARIZE


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (query(k=0), "k"),
        (query(k=10**9), "k"),
        (query(k="10"), "k"),
        (query(kind="find"), "kind"),
        (query(parts=[]), ""),
        (query(parts=[TEXT_PART] * 17), "parts"),
        (query(parts=[{"modality": "smell"}]), "parts[0]"),
        (query(parts=[TEXT_PART, {"modality": "text", "text": ""}]), "parts[1].text"),
        (query(parts=[TEXT_PART | {"weight": 0}]), ""),
        (query(filter="x" * 4097), "filter"),
        (query(near={"latitude": -91, "longitude": 0}), "near.latitude"),
        (query(fusion={"weights": {"smell": 1}}), "fusion.weights.smell.[key]"),
        (query(fusion={"weights": {"image": -1}}), "fusion.weights.image"),
        (query(reply_to="a topic"), "reply_to"),
        (query(personalise=0.5), ""),
        (query(item_id="a"), ""),
        (query(search_in=["image", "image"]), ""),
        ({"query_id": "q", "kind": "recommend"}, ""),
        ({"query_id": "q", "kind": "similar"}, ""),
        (query(item_ids=["a"]), ""),
        (query(summary={}), ""),
        (summary(), ""),
        (summary(item_id="a", item_ids=["b"]), ""),
        (summary(item_ids=["a", "a"]), ""),
        (summary(item_id="a", recommend={"explore": 0.1}), ""),
        (summary(item_id="a", collapse={}), ""),
        (summary(item_ids=[f"i{number}" for number in range(101)]), "item_ids"),
        (summary(item_id="a", filter=".year > 2020"), ""),
        (summary(item_ids=["a"], k=3), ""),
        (summary(parts=[TEXT_PART], k=101), ""),
        (summary(item_id="a", summary={"passages": 51}), "summary.passages"),
        (summary(item_id="a", summary={"relevance": 1.1}), "summary.relevance"),
        (summary(item_id="a", summary={"passages": 0, "frames": 0, "sounds": 0}), "summary"),
        (summary(item_id="a", summary={"passage": 1}), "summary.passage"),
    ],
)
def test_a_wrong_query_names_the_field(event: dict[str, Any], field: str):
    """Each wrong field of a query, and each thing its kind lacks or ignores, is refused."""
    error = refusal(event, QUERIES)
    assert (error.reason, error.field) == (Reason.INVALID_EVENT, field)


@pytest.mark.parametrize(
    "event",
    [
        interaction(action="rate"),
        interaction(action="rate", value=6),
        interaction(value=3),
        interaction(action="comment"),
        interaction(action="stare"),
        {"type": "user.forget"},
    ],
)
def test_a_wrong_interaction_is_refused(event: dict[str, Any]):
    """An action without what it needs, or with what it has no use for, is refused."""
    assert refusal(event, INTERACTION_EVENTS).reason is Reason.INVALID_EVENT


def test_infinite_and_undefined_numbers_are_refused():
    """JSON's unofficial NaN and Infinity, and numbers that overflow, never reach a score."""
    for number in ("NaN", "Infinity", "1e999"):
        value = json.dumps(query()).replace('"text": "cat"', f'"text": "cat", "weight": {number}').encode()
        assert refusal(value, QUERIES).field == "parts[0].weight"


def test_all_problems_are_told_at_once():
    """A sender corrects everything in one go: each problem is in the message with its path."""
    told = refusal(upsert(item_id="", typo=1, attributes={"a": {}}), CONTENT_EVENTS).message
    assert all(path in told for path in ("item_id:", "typo:", "attributes.a:"))


def test_a_huge_input_is_not_repeated():
    """Neither a long unknown name nor a thousand problems make a long message."""
    assert len(refusal(upsert(**{"x" * 50_000: 1}), CONTENT_EVENTS).message) < 1000
    assert len(refusal(upsert(**{f"x{n}": 1 for n in range(1000)}), CONTENT_EVENTS).message) < 3000


def test_another_schema_version_is_refused_by_that_name():
    """An event of a later contract is told apart from a wrong one, whatever else it holds."""
    error = refusal(upsert(schema_version=2, novelty=True), CONTENT_EVENTS)
    assert (error.reason, error.field) == (Reason.UNSUPPORTED_SCHEMA_VERSION, "schema_version")
    assert refusal(upsert(schema_version="2"), CONTENT_EVENTS).reason is Reason.INVALID_EVENT


def test_an_event_over_the_limit_is_refused_before_it_is_read():
    """The size is checked first, and the message says how to send large media."""
    error = refusal(b"\xff" * 2000, CONTENT_EVENTS, max_bytes=1999)
    assert error.reason is Reason.EVENT_TOO_LARGE
    assert "'uri'" in error.message


def test_event_time_falls_back_to_the_records_own():
    """occurred_at is optional; where it is absent the Kafka record's timestamp counts."""
    event = parse_event(json.dumps(upsert()).encode(), CONTENT_EVENTS)
    assert event.occurred_at_ms(1234) == 1234
    event = parse_event(json.dumps(upsert(occurred_at="1970-01-01T01:00:00.5+01:00")).encode(), CONTENT_EVENTS)
    assert event.occurred_at_ms(1234) == 500


def test_an_event_survives_its_own_bytes():
    """What is written is read back equal, kinds of numbers and booleans included."""
    event = parse_event(
        json.dumps(upsert(attributes={"flag": True, "whole": 1, "real": 1.0, "tags": ["x"]})).encode(), CONTENT_EVENTS
    )
    again = parse_event(event.to_bytes(), CONTENT_EVENTS)
    assert isinstance(again, ContentUpsert)
    assert again == event
    assert [type(value) for value in again.attributes.values()] == [bool, int, float, list]


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[1]", b"{", b"[" * 100_000, b'{"query_id": 3}'])
def test_nothing_is_salvaged_from_what_cannot_be_read(value: bytes | None):
    """Salvaging never raises, and never invents."""
    assert salvage(value, "query_id", "reply_to") == {}


def test_the_readable_top_level_of_a_refused_event_is_salvaged():
    """The sender's own names survive, so that a refused query can still be answered with an error."""
    assert salvage(b'{"query_id": "q", "reply_to": 7, "k": 0}', "query_id", "reply_to") == {"query_id": "q"}
