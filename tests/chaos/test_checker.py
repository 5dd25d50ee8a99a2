"""The checker sees what it is there to see: each loss and doubling, put into a world that is otherwise right."""

import base64
import json
from collections.abc import Sequence

import pytest

from config.errors import Reason
from config.settings import PeopleSettings
from config.vocabulary import Action, ItemId, UserId
from fusion.index.memory_index import MemoryVectorIndex
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import Interaction
from tests.chaos import checker
from tests.chaos.checker import Check, Findings
from tests.chaos.world import Acted, ItemTruth, UserTruth, World
from tests.fusion_builders import DIMS, MODEL, item, tombstone
from workers.operate.past_records import PastRecord

SETTINGS = PeopleSettings()
A = ItemId("a")


def wrong(findings: Findings) -> set[Check]:
    """Which checks do not hold."""
    return {check for check, each in findings.wrong.items() if each}


def world_of_items() -> World:
    """One item that lives and one that was deleted."""
    return World(items={"a": ItemTruth(version_ms=2000, text="new"), "b": ItemTruth(version_ms=2000, text=None)})


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ([item("a", at_ms=2000, attributes={"text": "new"}), tombstone("b", at_ms=2000)], set()),
        ([tombstone("b", at_ms=2000)], {Check.ITEMS}),
        ([item("a", at_ms=1000, attributes={"text": "old"}), tombstone("b", at_ms=2000)], {Check.ITEMS}),
        ([item("a", at_ms=2000, attributes={"text": "new"}), item("b", attributes={"text": "x"})], {Check.DELETED}),
    ],
    ids=["right", "lost", "older", "deleted is back"],
)
async def test_items(changes: Sequence[object], seen: set[Check]) -> None:
    """An item that is lost, an older version, and a deletion that did not hold."""
    index, findings = MemoryVectorIndex(MODEL, DIMS), Findings()
    await index.write(changes)  # type: ignore[arg-type]
    await checker.check_items(world_of_items(), index, findings)
    assert wrong(findings) == seen


def acted(place: int) -> Acted:
    """One of a user's actions."""
    return Acted(event_id=f"e{place}", item_id="a", action=Action.LIKE, at_ms=1000 + place)


@pytest.mark.parametrize(
    ("counted", "seen"),
    [
        ([0, 1, 2], set()),
        ([0, 2], {Check.ONCE}),
        ([0, 1, 2, 3], {Check.ONCE}),
        ([0, 1, 1, 2], {Check.ONCE}),
        ([], {Check.ONCE}),
    ],
    ids=["right", "lost", "too many", "twice", "nothing"],
)
async def test_people(counted: Sequence[int], seen: set[Check]) -> None:
    """An action that is lost, one too many, and one that counts twice without another step."""
    index, people = MemoryVectorIndex(MODEL, DIMS), MemoryPeopleStore(SETTINGS, DIMS)
    await index.write([item("a")])
    direction = next(iter((await index.fetch([A]))[A].vectors.values()))
    for copy, place in enumerate(counted):
        one = acted(place)
        await people.record([_counted(one, f"{one.event_id}-{copy}", direction)])
    findings = Findings()
    world = World(users={"u": UserTruth(acted=[acted(0), acted(1), acted(2)])})
    await checker.check_people(world, people, index, SETTINGS, findings)
    assert wrong(findings) == seen


def _counted(one: Acted, event_id: str, direction: object) -> Interaction:
    return Interaction(
        event_id=event_id,
        user_id=UserId("u"),
        item_id=ItemId(one.item_id),
        action=one.action,
        occurred_at_ms=one.at_ms,
        weight=SETTINGS.action_weights[one.action],
        vector=direction,  # type: ignore[arg-type]
    )


def result(query_id: str, score: float = 0.5, *, at_ms: int = 0, code: str | None = None) -> PastRecord:
    """A result as it is read, with one hit or an error."""
    hits = [] if code else [{"item_id": "a", "score": score}]
    error = {"code": code} if code else None
    value = {"query_id": query_id, "status": "error" if code else "ok", "hits": hits, "error": error}
    return PastRecord(partition=0, offset=0, value=json.dumps(value).encode(), at_ms=at_ms)


@pytest.mark.parametrize(
    ("records", "seen"),
    [
        ([result("q"), result("q"), result("bad", code="unknown_item")], set()),
        ([result("bad", code="unknown_item")], {Check.RESULTS}),
        ([result("q"), result("q", 0.6), result("bad", code="unknown_item")], {Check.ONE_RESULT}),
        ([result("q"), result("q", 0.6, at_ms=50), result("bad", code="unknown_item")], set()),
        ([result("q"), result("bad", code="internal")], {Check.ONE_RESULT}),
        ([result("q"), result("bad", code="unknown_item"), result("r")], {Check.RESULTS}),
    ],
    ids=["right", "none", "two answers", "during a loss", "another error", "never asked"],
)
def test_results(records: Sequence[PastRecord], seen: set[Check]) -> None:
    """A query without a result, with two that differ, and with another error than it must get."""
    findings = Findings()
    world = World(queries={"q": None, "bad": Reason.UNKNOWN_ITEM}, asked=2)
    copies = checker.check_results(world, records, [(40, 60)], findings)
    assert wrong(findings) == seen
    assert copies == len(records) - 2


def letter(value: bytes, reason: str = "not_json") -> PastRecord:
    """A dead letter as it is read."""
    told = {"value": base64.b64encode(value).decode(), "reason": reason, "message": "m"}
    return PastRecord(partition=0, offset=0, value=json.dumps(told).encode(), at_ms=0)


@pytest.mark.parametrize(
    ("records", "seen"),
    [
        ([letter(b"x"), letter(b"x")], set()),
        ([], {Check.LETTERS}),
        ([letter(b"x"), letter(b"good", "internal")], {Check.LETTERS}),
        ([letter(b"x", "internal")], {Check.LETTERS}),
    ],
    ids=["right", "lost", "a good event", "another reason"],
)
def test_letters(records: Sequence[PastRecord], seen: set[Check]) -> None:
    """A letter that is missing, one of a good event, and one with another reason."""
    findings = Findings()
    checker.check_letters(World(letters={b"x": Reason.NOT_JSON}), records, findings)
    assert wrong(findings) == seen


def vectors(item_id: str, at_ms: int, text: str | None) -> PastRecord:
    """A record of the vectors topic as it is read."""
    if text is None:
        return PastRecord(
            partition=0, offset=0, value=None, at_ms=0, key=item_id.encode(), headers={"version": b"%d:0" % at_ms}
        )
    value = {"version_ms": at_ms, "attributes": {"text": text}}
    return PastRecord(partition=0, offset=0, value=json.dumps(value).encode(), at_ms=0, key=item_id.encode())


def test_the_last_record_of_an_item_must_be_its_newest() -> None:
    """Compaction leaves the last one alone."""
    right, findings = [vectors("a", 2000, "new"), vectors("b", 2000, None)], Findings()
    checker.check_vectors(world_of_items(), right, findings)
    assert findings.holds

    checker.check_vectors(world_of_items(), [*right, vectors("a", 1000, "old")], findings)
    assert wrong(findings) == {Check.VECTORS}
