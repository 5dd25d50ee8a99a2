"""The generated documents are current, complete and agree with the models."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from workers.contracts import schema
from workers.contracts.parse import parse_event

DOCS = Path(__file__).parents[4] / "docs"

CASES = [(channel, model, example) for channel in schema.CHANNELS for model, example in channel.messages.items()]


def test_committed_documents_are_current():
    """docs/ holds what the code generates; `crosscurrent schema` writes it anew."""
    for name, text in schema.documents().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name} is out of date"


@pytest.mark.parametrize(("channel", "model", "example"), CASES, ids=[model.__name__ for _, model, _ in CASES])
def test_examples_are_good_by_model_and_by_schema(channel: schema.Channel, model: type, example: dict[str, Any]):
    """Each documented example is accepted by the parser and by the published JSON Schema."""
    assert isinstance(parse_event(json.dumps(example).encode(), channel.adapter), model)
    published = schema.json_schemas()[channel.topic.value]
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.Draft202012Validator(published).validate(example)


AS_DESIGNED = {
    "an item of every modality": (
        "content",
        """{"type":"content.upsert","item_id":"…","occurred_at":"2026-05-01T12:00:00Z","modalities":{
        "text":{"text":"…","language":"zh"},"image":{"uri":"https://h/i"},"audio":{"data":"AAAA","media_type":"audio/wav"},
        "video":{"uri":"https://h/v"},"location":{"latitude":35.66,"longitude":139.75},
        "sensor":{"channels":["temperature_celsius","relative_humidity","pressure_hpa"],"sample_rate_hz":0.1,
        "values":[[18.5,0.6,1013]]}},"attributes":{"category":"animals","year":2024,"price":9.5}}""",
    ),
    "a deletion": ("content", """{"type":"content.delete","item_id":"…"}"""),
    "an interaction": (
        "interactions",
        """{"type":"interaction","event_id":"…","user_id":"…","item_id":"…","action":"rate","value":4.5,
        "text":"a comment","query_id":"…","session_id":"…"}""",
    ),
    "the wish to be forgotten": ("interactions", """{"type":"user.forget","user_id":"…"}"""),
    "a search with everything": (
        "queries",
        """{"query_id":"…","kind":"search","user_id":"…","parts":[{"modality":"text","text":"猫","weight":1.0},
        {"modality":"image","uri":"https://h/i","weight":-0.4}],"k":10,"offset":0,
        "filter":".category == \\"animals\\" and .year > 2020","search_in":["image","audio"],
        "similarity":"weighted_cosine","fusion":{"strategy":"attention","weights":{"image":0.7},"missing":"penalise"},
        "ranking":{"method":"beam","diversity":0.3,"beam_width":8},
        "near":{"latitude":35,"longitude":139,"scale_km":50},"personalise":0.3,"explain":true,"deadline_ms":500,
        "reply_to":"crosscurrent.results.mine"}""",
    ),
    "the least search": ("queries", """{"query_id":"…","kind":"search","parts":[{"modality":"text","text":"猫"}]}"""),
    "a recommendation": ("queries", """{"query_id":"…","kind":"recommend","user_id":"…"}"""),
    "a summary": (
        "queries",
        """{"query_id":"…","kind":"summarize","item_ids":["…","x"],"parts":[{"modality":"text","text":"猫"}],
        "summary":{"passages":3,"frames":3,"sounds":2,"relevance":0.3,"diversity":0.3}}""",
    ),
    "a result with a summary": (
        "results",
        """{"query_id":"…","status":"ok","summary":{"text":"…",
        "passages":[{"item_id":"…","text":"…","start":0,"end":1,"score":0.5}],
        "frames":[{"item_id":"…","source":"video","time_s":1.5,"score":0.2}],
        "sounds":[{"item_id":"…","source":"audio","start_s":0,"end_s":6.2,"score":0.1}],"coverage":0.8,"segments":9}}""",
    ),
    "neighbours": ("queries", """{"query_id":"…","kind":"similar","item_id":"…"}"""),
    "a result": (
        "results",
        """{"query_id":"…","status":"ok","hits":[{"rank":1,"item_id":"…","score":0.93,
        "modality_scores":{"image":{"similarity":0.91,"calibrated":0.997,"weight":0.6}},"attributes":{},"because":[]}],
        "timings_ms":{"queue":1,"encode":2,"search":3,"fuse":4,"total":10},"candidates":412,"model":"builtin@1",
        "warnings":[]}""",
    ),
    "an error": (
        "results",
        """{"query_id":"…","status":"error","error":{"code":"unknown_item","message":"…"}}""",
    ),
}


@pytest.mark.parametrize("name", AS_DESIGNED)
def test_the_designs_own_examples_are_good(name: str):
    """What the contract's page shows is accepted word for word, by the parser and by the schema."""
    topic, event = AS_DESIGNED[name]
    [channel] = [channel for channel in schema.CHANNELS if channel.topic.value == topic]
    parse_event(event.encode(), channel.adapter)
    jsonschema.Draft202012Validator(schema.json_schemas()[topic]).validate(json.loads(event))


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        ("content", {"type": "content.upsert", "item_id": "a", "modalities": {}}),
        ("content", {"type": "content.upsert", "item_id": "a", "modalities": {"image": {}}}),
        ("content", {"type": "content.delete", "item_id": "a", "typo": 1}),
        ("queries", {"query_id": "q", "kind": "search"}),
        ("queries", {"query_id": "q", "kind": "recommend"}),
        ("queries", {"query_id": "q", "kind": "similar", "item_id": "a", "k": 0}),
        ("interactions", {"type": "user.forget"}),
    ],
)
def test_the_schema_refuses_what_the_worker_refuses(topic: str, event: dict[str, Any]):
    """A sender who validates against the schema is spared the dead letter."""
    assert not jsonschema.Draft202012Validator(schema.json_schemas()[topic]).is_valid(event)


def test_every_field_is_described():
    """No field of any event is published without a description."""
    for name, part in schema.asyncapi()["components"]["schemas"].items():
        for field, described in part.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"


def test_every_reference_in_the_asyncapi_document_leads_somewhere():
    """Each $ref is a path inside the document."""
    document = schema.asyncapi()

    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                target = document
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step]
            for value in node.values():
                follow(value)
        elif isinstance(node, list):
            for value in node:
                follow(value)

    follow(document)
