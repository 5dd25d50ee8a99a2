"""JSON Schemas and the AsyncAPI 3 document, generated from the models, so that they cannot drift from the code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from config.describe import settings_page
from workers.contracts import examples
from workers.contracts.base import SCHEMA_VERSION, Event
from workers.contracts.calibration import MODEL_CALIBRATIONS, ModelCalibration
from workers.contracts.content import CONTENT_EVENTS, ContentDelete, ContentUpsert
from workers.contracts.dead_letter import DEAD_LETTERS, DeadLetter
from workers.contracts.interaction import INTERACTION_EVENTS, Interaction, UserForget
from workers.contracts.profiles import USER_PROFILES, UserProfile
from workers.contracts.query import QUERIES, Query
from workers.contracts.replays import REPLAY_MARKS, ReplayMark
from workers.contracts.result import RESULTS, Result
from workers.contracts.tag_counts import TAG_COUNTS, TagCounts
from workers.contracts.topics import Topic
from workers.contracts.vectors import ITEM_VECTORS, ItemVectors

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A topic as documented.

    Args:
        action: What Crosscurrent does with it, in AsyncAPI's words: ``receive`` or ``send``.
        key: What the record's key is.
        messages: Each event with an example of it.
    """

    topic: Topic
    action: str
    key: str
    summary: str
    adapter: TypeAdapter[Any]
    messages: Mapping[type[Event], dict[str, Any]]


CHANNELS = (
    Channel(
        topic=Topic.CONTENT,
        action="receive",
        key="item_id",
        summary="Items appear, change and go.",
        adapter=CONTENT_EVENTS,
        messages={ContentUpsert: examples.UPSERT, ContentDelete: examples.DELETE},
    ),
    Channel(
        topic=Topic.INTERACTIONS,
        action="receive",
        key="user_id",
        summary="What users did with items, and the wish to be forgotten.",
        adapter=INTERACTION_EVENTS,
        messages={Interaction: examples.INTERACTION, UserForget: examples.FORGET},
    ),
    Channel(
        topic=Topic.QUERIES,
        action="receive",
        key="query_id",
        summary="Questions; each gets exactly one result.",
        adapter=QUERIES,
        messages={Query: examples.QUERY},
    ),
    Channel(
        topic=Topic.RESULTS,
        action="send",
        key="query_id",
        summary="Ranked answers, and errors of queries that could not be answered.",
        adapter=RESULTS,
        messages={Result: examples.RESULT},
    ),
    Channel(
        topic=Topic.VECTORS,
        action="send",
        key="item_id",
        summary="Compacted: each item's aligned vectors, from which an empty index is refilled.",
        adapter=ITEM_VECTORS,
        messages={ItemVectors: examples.ITEM_VECTORS},
    ),
    Channel(
        topic=Topic.PROFILES,
        action="send",
        key="user_id",
        summary="Compacted: what each user likes now.",
        adapter=USER_PROFILES,
        messages={UserProfile: examples.USER_PROFILE},
    ),
    Channel(
        topic=Topic.TAG_COUNTS,
        action="send",
        key="label_set:window_start:window length in seconds:partition",
        summary="Compacted: items of each window of event time by label, one record a partition of the content topic.",
        adapter=TAG_COUNTS,
        messages={TagCounts: examples.TAG_COUNTS},
    ),
    Channel(
        topic=Topic.CALIBRATION,
        action="send",
        key="model",
        summary="Compacted: the measured backgrounds of similarities that all query workers calibrate with.",
        adapter=MODEL_CALIBRATIONS,
        messages={ModelCalibration: examples.MODEL_CALIBRATION},
    ),
    Channel(
        topic=Topic.DEAD_LETTERS,
        action="send",
        key="the refused record's key",
        summary="Events that can never be served, with the reason and where they came from.",
        adapter=DEAD_LETTERS,
        messages={DeadLetter: examples.DEAD_LETTER},
    ),
    Channel(
        topic=Topic.REPLAYS,
        action="send",
        key="the dead letter's partition:offset",
        summary="Compacted: which dead letters were sent again, so that none is sent twice.",
        adapter=REPLAY_MARKS,
        messages={ReplayMark: examples.REPLAY_MARK},
    ),
)


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (2020-12) of each topic's events, by the topic's name."""
    return {
        channel.topic.value: {"$schema": _DIALECT} | channel.adapter.json_schema() | {"title": channel.summary}
        for channel in CHANNELS
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: channels, operations as Crosscurrent performs them, messages and examples."""
    models = [model for channel in CHANNELS for model in channel.messages]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Crosscurrent",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": "Streaming cross-modal search and recommendation: events in, ranked results out.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.topic.value: _channel(channel) for channel in CHANNELS},
        "operations": {_operation_name(channel): _operation(channel) for channel in CHANNELS},
        "components": {
            "messages": {
                model.__name__: _message(model, channel, example)
                for channel in CHANNELS
                for model, example in channel.messages.items()
            },
            "schemas": schemas["$defs"],
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": f"{{prefix}}.{channel.topic.value}",
        "description": channel.summary,
        "parameters": {"prefix": {"description": "kafka.topic_prefix in the settings", "default": "crosscurrent"}},
        "messages": {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in channel.messages},
    }


def _operation_name(channel: Channel) -> str:
    return f"{channel.action}_{channel.topic.value.replace('-', '_')}"


def _operation(channel: Channel) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.topic.value}"},
        "summary": channel.summary,
    }
    if channel.topic is Topic.QUERIES:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{Topic.RESULTS.value}"}}
    return operation


def _message(model: type[Event], channel: Channel, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": model.__name__,
        "summary": (model.__doc__ or "").strip(),
        "payload": {"$ref": _REF.format(model=model.__name__)},
        "bindings": {"kafka": {"key": {"type": "string", "description": channel.key}}},
        "examples": [{"payload": example}],
    }


def documents() -> dict[str, str]:
    """Every generated document: path under ``docs/`` and text."""
    schemas = {
        f"schemas/{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in json_schemas().items()
    }
    page = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    return {**schemas, "asyncapi.yaml": page, "settings.md": settings_page()}


def write_documents(folder: Path) -> list[Path]:
    """Write every document under a folder; returns the files written."""
    written = []
    for name, text in documents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
