"""``crosscurrent doctor``: one finding for each thing a worker needs, each trouble with its way out."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.errors import CrosscurrentError
from config.settings import Settings, load_settings
from config.vocabulary import ModelRef, Role
from workers.contracts.rights import rights_of
from workers.contracts.topics import INPUT_TOPIC
from workers.operate.admin import cluster_id, list_topics
from workers.operate.embedded import MEMORY_CLUSTER_ID

if TYPE_CHECKING:
    from encoders.base import EncoderSet

# Asks Redis whether it can hold any index, when there is no model whose index it should hold.
_NO_MODEL: Final = ModelRef("doctor", "0")
_NO_DIMS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Args:
        detail: What there is, or what is wrong.
        way_out: What to do; empty where nothing needs doing.
    """

    check: str
    good: bool
    detail: str
    way_out: str = ""


def examine(config: Path | None, overrides: Mapping[str, Any]) -> list[Finding]:
    """Check settings, broker, topics, model, device and Redis; nothing raises, everything is a finding."""
    try:
        settings = load_settings(config, overrides)
    except CrosscurrentError as exc:
        way_out = "correct the settings file or the CROSSCURRENT_… variables; the other checks need them"
        return [Finding(check="settings", good=False, detail=str(exc), way_out=way_out)]
    profile = f"profile {settings.model.profile}, topics {settings.kafka.topic_prefix}.*"
    findings = [Finding(check="settings", good=True, detail=profile)]
    findings += _guarded("broker", lambda: _topics(settings))
    if settings.kafka.security_protocol != "PLAINTEXT" and all(one.good for one in findings if one.check == "broker"):
        findings += _guarded("rights", lambda: _rights(settings))
    encoders: list[EncoderSet] = []
    findings += _guarded("model", lambda: _model(settings, encoders))
    findings += _guarded("redis", lambda: _redis(settings, encoders))
    findings += _folders(settings)
    return findings


def _guarded(check: str, find: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a check finds; an expected error is a finding as well."""
    try:
        return list(find())
    except CrosscurrentError as exc:
        return [Finding(check=check, good=False, detail=str(exc))]


def _topics(settings: Settings) -> Iterator[Finding]:
    states = list_topics(settings.kafka)
    yield Finding(check="broker", good=True, detail=f"answers at {settings.kafka.bootstrap_servers}")
    if cluster_id(settings.kafka) == MEMORY_CLUSTER_ID:
        detail = "the embedded broker keeps everything in memory only: it is gone when the broker stops"
        yield Finding(check="kept", good=True, detail=detail, way_out="crosscurrent up --data DIR keeps it")
    if hidden := [state.spec.name for state in states if state.hidden]:
        # No trouble by itself: where each role has a user of its own, each sees its own topics. Rights are told below.
        detail = f"hidden from {settings.kafka.username!r}, so unknown: {', '.join(hidden)}"
        yield Finding(check="topics", good=True, detail=detail)
    states = [state for state in states if not state.hidden]
    missing = [state.spec.name for state in states if not state.exists]
    if missing:
        detail = f"missing: {', '.join(missing)}"
        yield Finding(check="topics", good=False, detail=detail, way_out="crosscurrent topics create")
    different = [f"{state.spec.name}: {told}" for state in states if state.exists for told in state.differences]
    for told in different:
        yield Finding(check="topics", good=False, detail=told)
    if not missing and not different:
        yield Finding(check="topics", good=True, detail=f"{len(states)} topics as the settings want them")


def _rights(settings: Settings) -> Iterator[Finding]:
    """What each role's worker would lack as this user; a role that it may not even read for is another user's."""
    from workers.streams.broker_rights import lacking, told, who

    missing = {role: asyncio.run(lacking(settings.kafka, rights_of(role, settings))) for role in Role}
    complete = [role for role, rights in missing.items() if not rights]
    for role, rights in missing.items():
        if not rights:
            yield Finding(check="rights", good=True, detail=f"{who(settings.kafka)} may do what a {role} worker does")
        elif complete and INPUT_TOPIC[role].named(settings.kafka.topic_prefix) in {right.name for right in rights}:
            yield Finding(check="rights", good=True, detail=f"{who(settings.kafka)} is no user of {role} workers")
        else:
            yield Finding(check="rights", good=False, detail=f"{role} worker: {told(settings.kafka, rights)}")


def _model(settings: Settings, loaded: "list[EncoderSet]") -> Iterator[Finding]:
    from encoders.registry import describe, load_encoders

    facts = describe(settings.model)
    if facts.missing:
        for told in facts.missing:
            yield Finding(check="model", good=False, detail=told)
        return
    encoders = load_encoders(settings.model)
    loaded.append(encoders)
    names = ", ".join(encoders.encoders)
    detail = f"{encoders.model} loads and encodes {names}: vectors of length {encoders.dims}"
    yield Finding(check="model", good=True, detail=detail)
    if facts.profile.kind != "deterministic":
        yield Finding(check="device", good=True, detail=_device(settings))


def _device(settings: Settings) -> str:
    from encoders.device import resolve_device, usable_cpus

    device = resolve_device(settings.model.device)
    return f"{device} ({usable_cpus()} CPUs usable)"


def _redis(settings: Settings, loaded: "list[EncoderSet]") -> Iterator[Finding]:
    model, dims = (loaded[0].model, loaded[0].dims) if loaded else (_NO_MODEL, _NO_DIMS)
    asyncio.run(_ask_redis(settings, model, dims))
    held = f"its vectors fit {model}" if loaded else "which vectors it should hold is unknown without a model"
    shards = settings.redis.shards
    detail = f"answers, has vector sets, {shards} shard{'s' if shards > 1 else ''}; {held}"
    yield Finding(check="redis", good=True, detail=detail)


async def _ask_redis(settings: Settings, model: ModelRef, dims: int) -> None:
    from fusion.index.followed_index import FollowedIndex
    from fusion.index.redis_index import RedisVectorIndex

    kind = RedisVectorIndex if model is _NO_MODEL else FollowedIndex
    index = kind(settings.redis, model, dims)
    try:
        await index.check()
    finally:
        await index.close()


def _folders(settings: Settings) -> Iterator[Finding]:
    for folder in settings.media.allowed_folders:
        if not folder.is_dir():
            way_out = "make it, mount it, or take it out of media.allowed_folders"
            yield Finding(check="media", good=False, detail=f"{folder} is not a folder here", way_out=way_out)
