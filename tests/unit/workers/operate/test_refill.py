"""Records of the vectors topic become an index again: bit for bit, newest first, deletions too."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from config.errors import Misconfigured, RetryLater
from config.settings import DeliverySettings
from config.vocabulary import ItemId, Modality
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, Tombstone, WriteOutcome
from tests.fusion_builders import DIMS, MODEL, item, passage, stretch, tombstone, unit
from workers.operate.past_records import PastRecord
from workers.operate.patience import Patience
from workers.operate.refill import Refill
from workers.streams.memory import MemoryPublisher
from workers.streams.vectors_topic import VectorsTopic

QUICK = DeliverySettings(retry_initial_s=0.001, retry_max_s=0.002)
A = ItemId("a")


async def sent(*changes: Item | Tombstone) -> list[PastRecord]:
    """Changes as the content worker puts them on the topic."""
    publisher = MemoryPublisher()
    topic = VectorsTopic("v", publisher, MemoryVectorIndex(MODEL, DIMS))
    for change in changes:
        await topic.publish([change])
    return [
        PastRecord(partition=0, offset=0, value=each.value, key=each.key, headers=each.headers, at_ms=0)
        for each in publisher.sent
    ]


def refill(index: MemoryVectorIndex, *, longest_s: float = 1.0) -> Refill:
    """A refill of an index."""
    return Refill(index, Patience(QUICK, longest_s=longest_s))


class AwayIndex(MemoryVectorIndex):
    """Is away for some calls."""

    def __init__(self, calls: int) -> None:
        super().__init__(MODEL, DIMS)
        self._away = calls

    async def write(self, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome]:
        """Write, unless away."""
        if self._away:
            self._away -= 1
            raise RetryLater("away", retry_after_s=0.001)
        return await super().write(changes)


async def test_an_item_comes_back_whole() -> None:
    """Vectors, attributes, segments and version, as they were."""
    written = item(
        "a",
        offset=7,
        vectors={Modality.TEXT: unit(1), Modality.AUDIO: unit(2)},
        attributes={"year": 2024, "price": 4.0, "t": ["x"]},
        segments=[passage("boats come home", unit(3)), stretch(0.0, 6.0, unit(4))],
    )
    index = MemoryVectorIndex(MODEL, DIMS)
    await refill(index).add(await sent(written))

    read = (await index.fetch_whole([A]))[A]
    assert replace(read, vectors={}) == replace(written, vectors={})
    assert type(read.attributes["price"]) is float
    assert {name: vector.tobytes() for name, vector in read.vectors.items()} == {
        name: vector.tobytes() for name, vector in written.vectors.items()
    }


async def test_a_deletion_outlives_the_loss() -> None:
    """What is older than it stays refused, as before."""
    index = MemoryVectorIndex(MODEL, DIMS)
    doing = refill(index)
    await doing.add(await sent(item("a", at_ms=1000), tombstone("a", at_ms=2000)))

    assert (doing.done.items, doing.done.deletions) == (0, 1)
    assert await index.write([item("a", at_ms=1500)]) == [WriteOutcome.STALE]


async def test_what_was_written_since_stays_and_twice_is_once() -> None:
    """The versions decide, whatever order records lie in, and whoever wrote first."""
    index = MemoryVectorIndex(MODEL, DIMS)
    await index.write([item("a", at_ms=3000)])
    records = await sent(item("b", at_ms=2000), item("b", at_ms=1000), item("a", at_ms=1000), item("c"))
    doing = refill(index)
    await doing.add(records)
    assert (doing.done.items, doing.done.kept) == (2, 1)
    assert (await index.versions([A, ItemId("b")])) == {
        A: item("a", at_ms=3000).version,
        ItemId("b"): item("b", at_ms=2000).version,
    }

    again = refill(index)
    await again.add(records)
    assert (again.done.items, again.done.kept) == (0, 3)


@pytest.mark.parametrize("together", [True, False])
async def test_a_topic_that_ends_with_an_older_version_is_mended(*, together: bool) -> None:
    """An old event that came while the index was empty is the topic's last word until a rebuild sends the newer again.

    So it does not matter whether the broker compacts the topic before the next loss.
    """
    records = await sent(
        item("a", at_ms=2000), item("b"), tombstone("c", at_ms=2000), item("a", at_ms=1000), item("c", at_ms=1500)
    )
    index, publisher = MemoryVectorIndex(MODEL, DIMS), MemoryPublisher()
    topic = VectorsTopic("v", publisher, index)
    doing = refill(index)
    for some in [records] if together else [[each] for each in records]:
        await doing.add(some)
    await doing.mend(topic)

    assert doing.done.mended == 2
    compacted = {each.key: each for each in publisher.sent}
    after = MemoryVectorIndex(MODEL, DIMS)
    await refill(after).add(
        [
            PastRecord(partition=0, offset=0, value=e.value, key=e.key, headers=e.headers, at_ms=0)
            for e in publisher.sent
        ]
    )
    assert set(compacted) == {b"a", b"c"}
    assert await after.versions([A, ItemId("c")]) == await index.versions([A, ItemId("c")])

    again = refill(index)
    await again.add(
        [
            *records,
            *[
                PastRecord(partition=0, offset=0, value=e.value, key=e.key, headers=e.headers, at_ms=0)
                for e in publisher.sent
            ],
        ]
    )
    await again.mend(topic)
    assert again.done.mended == 0


async def test_what_is_no_change_of_this_model_is_told_and_passed_over() -> None:
    """Another model's vectors, deletions from before there were versions, and what nobody understands."""
    (good,) = await sent(item("a"))
    other = json.loads(good.value or b"") | {"model": "other@9"}
    zero = json.loads(good.value or b"") | {"vectors": {"text": "A" * 170 + "A="}, "item_id": "zero"}
    records = [
        PastRecord(partition=0, offset=0, value=json.dumps(other).encode(), key=b"a", at_ms=0),
        PastRecord(partition=0, offset=0, value=json.dumps(zero).encode(), key=b"zero", at_ms=0),
        PastRecord(partition=0, offset=0, value=b"{}", key=b"a", at_ms=0),
        PastRecord(partition=0, offset=0, value=None, key=b"a", at_ms=0),
        PastRecord(partition=0, offset=0, value=None, key=b"\xff", headers={"version": b"1:2"}, at_ms=0),
        good,
    ]
    index = MemoryVectorIndex(MODEL, DIMS)
    doing = refill(index)
    await doing.add(records)

    assert doing.done.items == 1
    assert dict(doing.done.passed_over) == {
        "vectors of other@9, and the settings name test@1": 1,
        "an item that the index refuses": 1,
        "no record of item vectors": 1,
        "a deletion without a version": 1,
        "a deletion of no item": 1,
    }


async def test_another_length_under_one_name_ends_it() -> None:
    """An operator must say which is which."""
    records = await sent(item("a"))
    with pytest.raises(Misconfigured, match="another name or version"):
        await refill(MemoryVectorIndex(MODEL, DIMS + 1)).add(records)


async def test_an_index_that_comes_back_is_waited_for() -> None:
    """For a while; then the command ends, and may be run again."""
    records = await sent(item("a"))
    index = AwayIndex(3)
    await refill(index).add(records)
    assert await index.fetch([A])

    with pytest.raises(RetryLater):
        await refill(AwayIndex(10**9), longest_s=0.02).add(records)
