"""What every vector index does, whatever it is made of."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from config.errors import Misconfigured, Reason, RejectEvent
from config.settings import RedisSettings
from config.vocabulary import ItemId, Modality, Version
from fusion.index.followed_index import FollowedIndex
from fusion.index.layout import fused_vector
from fusion.index.layouts import Layout, OtherState, begun, filled, flipped
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import FUSED, Item, VectorIndex, VectorSearch, WriteOutcome
from fusion.index.redis_index import RedisVectorIndex
from fusion.index.redis_layouts import RedisLayouts
from tests.fusion_builders import DIMS, MODEL, frame, item, passage, stretch, tombstone, unit

KINDS = ("memory", "redis with 1 shard", "redis with 4 shards", "1 shard, 4 are filled", "1 shard, 4 are live")


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest) -> Iterator[RedisSettings | None]:
    """Settings of the Redis under test; None for the index in memory, which needs no server."""
    if request.param == "memory":
        yield None
        return
    shards = 4 if "with 4" in request.param else 1
    yield RedisSettings(
        url=request.getfixturevalue("redis_url"), prefix=request.getfixturevalue("prefix"), shards=shards
    )


@pytest.fixture
async def index(settings: RedisSettings | None, request: pytest.FixtureRequest) -> AsyncIterator[VectorIndex]:
    """The index under test, empty."""
    kind = request.node.callspec.params["settings"]
    made: VectorIndex
    if settings is None:
        made = MemoryVectorIndex(MODEL, DIMS)
    elif "are" in kind:
        await two_layouts(settings, live="are live" in kind)
        made = FollowedIndex(settings, MODEL, DIMS)
    else:
        made = RedisVectorIndex(settings, MODEL, DIMS)
    yield made
    await made.close()


async def two_layouts(settings: RedisSettings, *, live: bool) -> None:
    """A second layout of four shards, which follows the stream, or answers while the first one follows it."""
    layouts = RedisLayouts(settings)
    home, new = layouts.home(MODEL), Layout(name="new", shards=4, model=MODEL)
    await layouts.fence(home, 0)
    record = begun(None, home, new)
    await layouts.write(record)
    await layouts.fence(home, record.generation)
    await layouts.fence(new, record.generation)
    if live:
        done = filled(record)
        await layouts.write(done)
        await layouts.write(flipped(done, OtherState.FILLED))
    await layouts.close()


def text_search(vector: Any, **changes: Any) -> VectorSearch:
    """A search among texts for ten neighbours, unless said otherwise."""
    return VectorSearch(**{"target": Modality.TEXT, "vector": vector, "count": 10, **changes})


async def many_items(index: VectorIndex) -> list[Item]:
    """Write 3,000 items of two modalities, half of them without the second; ``n`` counts them."""
    made = [
        item(
            f"i{n:04d}",
            vectors={Modality.TEXT: unit(n)} | ({Modality.IMAGE: unit(10_000 + n)} if n % 2 else {}),
            attributes={"n": n},
        )
        for n in range(3000)
    ]
    for start in range(0, len(made), 256):
        await index.write(made[start : start + 256])
    return made


def _towards(direction: Any, seed: int) -> Any:
    vector = direction + 0.3 * unit(100 + seed)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


async def found(index: VectorIndex, search: VectorSearch) -> list[str]:
    """Ids that a search finds, best first."""
    return [neighbour.item_id for neighbour in (await index.search([search])).neighbours[0]]


class TestWriting:
    """Versions decide, whole items at a time."""

    async def test_what_is_written_is_fetched_whole(self, index: VectorIndex) -> None:
        """Vectors come back in full precision, attributes and version as they were."""
        written = item(
            "a", vectors={Modality.TEXT: unit(1), Modality.IMAGE: unit(2)}, attributes={"year": 2024, "t": ["x"]}
        )

        assert await index.write([written]) == [WriteOutcome.APPLIED]

        read = (await index.fetch([ItemId("a")]))[ItemId("a")]
        assert (read.version, read.attributes) == (written.version, written.attributes)
        assert read.vectors.keys() == written.vectors.keys()
        for modality, vector in written.vectors.items():
            np.testing.assert_array_equal(read.vectors[modality], vector)

    @pytest.mark.parametrize(("at_ms", "offset"), [(999, 9), (1000, 0), (1000, 4), (1000, 5)])
    async def test_a_write_that_is_not_newer_changes_nothing(self, index: VectorIndex, at_ms: int, offset: int) -> None:
        """Event time decides, then the offset; the same version again is a replay."""
        await index.write([item("a", at_ms=1000, offset=5, attributes={"v": 1})])

        outcomes = await index.write([item("a", at_ms=at_ms, offset=offset, vectors={Modality.TEXT: unit(9)})])

        assert outcomes == [WriteOutcome.STALE]
        read = (await index.fetch([ItemId("a")]))[ItemId("a")]
        assert read.attributes == {"v": 1}
        assert read.version.offset == 5

    async def test_versions_far_apart_compare_as_numbers(self, index: VectorIndex) -> None:
        """A longer number is newer, though it sorts before as text."""
        await index.write([item("a", at_ms=999_999_999_999, offset=9)])

        assert await index.write([item("a", at_ms=1_700_000_000_000, offset=10)]) == [WriteOutcome.APPLIED]
        assert await index.write([item("a", at_ms=1_700_000_000_000, offset=9)]) == [WriteOutcome.STALE]

    async def test_a_modality_that_went_away_is_found_no_more(self, index: VectorIndex) -> None:
        """An update replaces the item, it is not laid over it."""
        await index.write([item("a", vectors={Modality.TEXT: unit(1), Modality.IMAGE: unit(2)})])
        await index.write([item("a", at_ms=2000, vectors={Modality.IMAGE: unit(3)}, attributes={"new": 1})])

        assert await found(index, text_search(unit(1))) == []
        assert await found(index, text_search(unit(3), target=Modality.IMAGE)) == ["a"]
        assert (await index.fetch([ItemId("a")]))[ItemId("a")].attributes == {"new": 1}

    async def test_a_deletion_outlives_replays(self, index: VectorIndex) -> None:
        """After a deletion older writes are stale; a newer one brings the item back."""
        await index.write([item("a", at_ms=1000), tombstone("a", at_ms=2000)])

        assert await index.write([item("a", at_ms=1500)]) == [WriteOutcome.STALE]
        assert await index.fetch([ItemId("a")]) == {}
        assert await found(index, text_search(unit(1))) == []
        assert await found(index, text_search(unit(1), target=FUSED)) == []
        assert await index.write([item("a", at_ms=3000)]) == [WriteOutcome.APPLIED]
        assert await found(index, text_search(unit(1))) == ["a"]

    async def test_a_deletion_of_the_unknown_is_remembered(self, index: VectorIndex) -> None:
        """A deletion may overtake its item."""
        assert await index.write([tombstone("a", at_ms=2000)]) == [WriteOutcome.APPLIED]
        assert await index.write([item("a", at_ms=1000)]) == [WriteOutcome.STALE]

    async def test_versions_are_known_of_deletions_too(self, index: VectorIndex) -> None:
        """A deletion has a version, which decides over writes that come late; the unknown has none."""
        await index.write([item("a", at_ms=1000, offset=3), tombstone("b", at_ms=2000, offset=4)])

        wanted = [ItemId("a"), ItemId("b"), ItemId("c")]

        assert await index.versions(wanted) == {ItemId("a"): Version(1000, 3), ItemId("b"): Version(2000, 4)}
        assert await index.versions([]) == {}

    async def test_outcomes_keep_the_order_of_the_changes(self, index: VectorIndex) -> None:
        """One outcome a change, in order, the same item twice included."""
        await index.write([item("b", at_ms=5000)])

        outcomes = await index.write([item("a"), item("b"), item("c"), item("a", at_ms=900), item("d")])

        stale, applied = WriteOutcome.STALE, WriteOutcome.APPLIED
        assert outcomes == [applied, stale, applied, stale, applied]

    async def test_nothing_is_done_to_nothing(self, index: VectorIndex) -> None:
        """Empty batches are fine."""
        assert await index.write([]) == []
        assert await index.fetch([]) == {}
        assert (await index.search([])).neighbours == []

    @pytest.mark.parametrize("item_id", ["猫", "a b", "x:{y}:z", "👩‍👩‍👧", "a\nb\0c", "é" * 256])
    async def test_any_unicode_is_an_id(self, index: VectorIndex, item_id: str) -> None:
        """Ids are data: no character means anything to the store."""
        await index.write([item(item_id)])

        assert await found(index, text_search(unit(1))) == [item_id]
        assert set(await index.fetch([ItemId(item_id)])) == {item_id}
        assert await index.scan_ids(5) == [item_id]


SEGMENTS = (
    passage("港の朝、船が帰る。", unit(3)),
    passage("Bye.", unit(4), start=9),
    frame(1.25, None),
    frame(None, unit(5)),
)


class TestSegments:
    """What summaries are made of lies beside an item and is read by who asks for it."""

    async def test_they_are_read_whole_and_by_fetch_not_at_all(self, index: VectorIndex) -> None:
        """Words, places and directions come back as they were, with the item; a ranking does not pay for them."""
        vectors = {Modality.TEXT: unit(1), Modality.IMAGE: unit(2)}
        written = item("a", vectors=vectors, attributes={"year": 2024}, segments=SEGMENTS)
        await index.write([written, item("b")])

        whole = await index.fetch_whole([ItemId("a"), ItemId("b"), ItemId("unknown")])

        assert {item_id: read.segments for item_id, read in whole.items()} == {"a": SEGMENTS, "b": ()}
        assert (whole[ItemId("a")].version, whole[ItemId("a")].attributes) == (written.version, written.attributes)
        np.testing.assert_array_equal(whole[ItemId("a")].vectors[Modality.IMAGE], unit(2))
        assert (await index.fetch([ItemId("a")]))[ItemId("a")].segments == ()
        assert (await index.fetch_whole([ItemId("a")]))[ItemId("a")].segments == SEGMENTS  # also once it is cached

    async def test_they_go_with_the_version_that_had_them(self, index: VectorIndex) -> None:
        """A stale write changes none, a newer one replaces all, a deletion takes them along."""
        a = ItemId("a")
        words, others = passage("One.", unit(3)), passage("Two.", unit(4))
        await index.write([item("a", segments=[words]), item("a", at_ms=900, segments=[others])])
        assert (await index.fetch_whole([a]))[a].segments == (words,)

        await index.write([item("a", at_ms=2000, segments=[others])])
        assert (await index.fetch_whole([a]))[a].segments == (others,)

        await index.write([item("a", at_ms=3000)])
        assert (await index.fetch_whole([a]))[a].segments == ()

        await index.write([item("a", at_ms=4000, segments=[words]), tombstone("a", at_ms=5000)])
        assert await index.fetch_whole([a]) == {}
        await index.write([item("a", at_ms=6000)])
        assert (await index.fetch_whole([a]))[a].segments == ()

    async def test_many_are_read_at_once(self, index: VectorIndex) -> None:
        """More than one call to a server takes."""
        ids = [ItemId(f"i{number}") for number in range(40)]
        await index.write([item(each, segments=[passage(each, unit(7))]) for each in ids])

        whole = await index.fetch_whole(ids)

        assert {item_id: read.segments[0].text for item_id, read in whole.items()} == {each: each for each in ids}

    @pytest.mark.parametrize(
        "segment",
        [passage("x", unit(1, DIMS + 1)), frame(None, None), stretch(0, 6, unit(1))],
        ids=["another length", "no vector stands for it", "no such modality"],
    )
    async def test_one_without_a_direction_is_refused(self, index: VectorIndex, segment: Any) -> None:
        """Before anything is written."""
        with pytest.raises(ValueError, match="segment"):
            await index.write([item("good"), item("a", segments=[segment])])

        assert await index.fetch([ItemId("good")]) == {}


class TestRefusing:
    """Wrong input names the field, before anything is written."""

    @pytest.mark.parametrize("item_id", ["", "é" * 257, "\ud800"])
    async def test_an_id_that_cannot_be_a_key(self, index: VectorIndex, item_id: str) -> None:
        """Empty, too long, or half a surrogate pair."""
        with pytest.raises(RejectEvent) as caught:
            await index.write([item("good"), item("x").__class__(**{**_fields(item("x")), "item_id": item_id})])

        assert caught.value.field == "item_id"
        assert await index.fetch([ItemId("good")]) == {}

    async def test_no_modality_at_all(self, index: VectorIndex) -> None:
        """Such an item could never be found."""
        with pytest.raises(RejectEvent, match="modalities"):
            await index.write([item("a", vectors={})])

    @pytest.mark.parametrize("vector", [np.zeros(DIMS, np.float32), np.full(DIMS, np.nan, np.float32)])
    async def test_a_vector_without_direction(self, index: VectorIndex, vector: Any) -> None:
        """Zero and not-a-number have no neighbours."""
        with pytest.raises(RejectEvent) as caught:
            await index.write([item("a", vectors={Modality.TEXT: vector})])

        assert caught.value.reason is Reason.ENCODER_FAILED

    async def test_a_vector_of_another_length(self, index: VectorIndex) -> None:
        """The encoder does not fit the index: an operator's matter."""
        with pytest.raises(Misconfigured, match="shape"):
            await index.write([item("a", vectors={Modality.TEXT: unit(1, DIMS + 1)})])

    async def test_numbers_that_json_has_not(self, index: VectorIndex) -> None:
        """Attributes are JSON."""
        with pytest.raises(RejectEvent, match="finite"):
            await index.write([item("a", attributes={"x": float("nan")})])

    @pytest.mark.parametrize(
        "source", [".year >", "year == 1", ".a = 1", '.a == "x', "not .a == 1", "1 < .a < 3", "((", "-.a > 1"]
    )
    async def test_a_filter_that_does_not_parse(self, index: VectorIndex, source: str) -> None:
        """Also when nothing is stored yet."""
        with pytest.raises(RejectEvent) as caught:
            await index.search([text_search(unit(1), filter=source)])

        assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FILTER, "filter")


class TestSearching:
    """Nearest first, filtered, merged over shards."""

    async def test_the_nearest_come_first(self, index: VectorIndex) -> None:
        """The item itself, with a cosine of about 1, then by cosine."""
        await index.write([item(f"i{seed}", vectors={Modality.TEXT: unit(seed)}) for seed in range(200)])

        (neighbours,) = (await index.search([text_search(unit(7) * 3)])).neighbours

        assert neighbours[0].item_id == "i7"
        assert neighbours[0].cosine == pytest.approx(1.0, abs=0.01)
        cosines = [neighbour.cosine for neighbour in neighbours]
        assert len(cosines) == 10
        assert cosines == sorted(cosines, reverse=True)

    async def test_several_searches_are_answered_in_order(self, index: VectorIndex) -> None:
        """Each search has its own target, vector and count."""
        await index.write([item("a", vectors={Modality.TEXT: unit(1)}), item("b", vectors={Modality.IMAGE: unit(2)})])

        report = await index.search(
            [
                text_search(unit(2), target=Modality.IMAGE),
                text_search(unit(2)),
                text_search(unit(2), target=FUSED, count=1),
            ]
        )

        assert [[n.item_id for n in found] for found in report.neighbours] == [["b"], ["a"], ["b"]]
        assert report.failed_shards == ()

    async def test_the_fused_set_holds_the_mean(self, index: VectorIndex) -> None:
        """The mean of an item's vectors finds it with a cosine of 1."""
        vectors = {Modality.TEXT: unit(1), Modality.IMAGE: unit(2)}
        await index.write([item("a", vectors=vectors)])

        (neighbours,) = (await index.search([text_search(fused_vector(vectors), target=FUSED)])).neighbours

        assert neighbours[0].cosine == pytest.approx(1.0, abs=0.01)

    async def test_equal_items_come_in_the_order_of_their_ids(self, index: VectorIndex) -> None:
        """Ties break by item id over all shards."""
        ids = [f"tie-{place}" for place in range(9)]
        await index.write([item(item_id, vectors={Modality.TEXT: unit(1)}) for item_id in reversed(ids)])

        assert await found(index, text_search(unit(1))) == ids

    async def test_a_rare_filter_fills_the_page(self, index: VectorIndex) -> None:
        """All of the few that a filter selects are found, far from the query as they are."""
        rare = {"i13", "i77", "i401", "i1033", "i1999"}
        await index.write(
            [
                item(f"i{seed}", vectors={Modality.TEXT: unit(seed)}, attributes={"rare": int(f"i{seed}" in rare)})
                for seed in range(2000)
            ]
        )

        assert set(await found(index, text_search(unit(5), filter=".rare == 1"))) == rare

    @pytest.mark.parametrize("target", [Modality.TEXT, Modality.IMAGE, FUSED])
    async def test_filters_of_any_selectivity_fill_the_page(self, index: VectorIndex, target: Modality | str) -> None:
        """From every second item to one in a thousand: as many as there are, nearly all of them the nearest."""
        stored = await many_items(index)
        oracle = MemoryVectorIndex(MODEL, DIMS)
        await oracle.write(stored)
        for most in (1500, 300, 30, 3):
            searches = [text_search(unit(seed), target=target, filter=f".n < {most}") for seed in range(5000, 5005)]
            lists = (await index.search(searches)).neighbours
            exact = (await oracle.search(searches)).neighbours
            assert [len(one) for one in lists] == [len(other) for other in exact]
            alike = [
                len({n.item_id for n in one} & {n.item_id for n in other}) / len(other)
                for one, other in zip(lists, exact, strict=True)
            ]
            assert np.mean(alike) >= 0.95, (most, alike)

    async def test_a_filter_that_selects_the_farthest_alone_fills_the_page(self, index: VectorIndex) -> None:
        """None of what is near matches: a walk from near to nearer would miss all of it."""
        query = unit(7)
        near = [item(f"near{seed}", vectors={Modality.TEXT: _towards(query, seed)}) for seed in range(600)]
        far = [
            item(f"far{seed}", vectors={Modality.TEXT: _towards(-query, seed)}, attributes={"far": 1})
            for seed in range(15)
        ]
        await index.write([*near, *far])

        assert len(await found(index, text_search(query, filter=".far == 1"))) == 10
        assert len(await found(index, text_search(query, filter=".far == 1", count=20))) == 15

    async def test_searches_with_several_filters_keep_to_their_own(self, index: VectorIndex) -> None:
        """Asked together they are answered as if alone; an empty filter, and one that selects nothing, among them."""
        await index.write([item(f"i{n}", vectors={Modality.TEXT: unit(n)}, attributes={"n": n}) for n in range(60)])
        filters = [".n < 5", "", ".n >= 55", ".n < 5", ".n > 99"]

        report = await index.search([text_search(unit(1), filter=each, count=60) for each in filters])

        sizes = [len(neighbours) for neighbours in report.neighbours]
        assert sizes == [5, 60, 5, 5, 0]
        assert {n.item_id for n in report.neighbours[2]} == {f"i{n}" for n in range(55, 60)}
        assert report.unfilled == ()

    async def test_reading_tells_what_could_not_be_asked(self, index: VectorIndex) -> None:
        """With everything there it is the same as fetching."""
        await index.write([item("a"), item("b")])

        report = await index.read([ItemId("a"), ItemId("b"), ItemId("never")])

        assert (set(report.items), report.failed_shards) == ({"a", "b"}, ())
        assert (await index.read([])).items == {}

    async def test_what_was_read_before_is_read_again_as_it_is_now(self, index: VectorIndex) -> None:
        """Nothing that an index remembers outlives an update or a deletion."""
        await index.check()
        await index.write([item("a", attributes={"v": 1}), item("b")])
        for _ in range(2):
            assert (await index.fetch([ItemId("a")]))[ItemId("a")].attributes == {"v": 1}

        await index.write([item("a", at_ms=2000, vectors={Modality.IMAGE: unit(5)}, attributes={"v": 2})])
        read = await index.fetch([ItemId("a"), ItemId("b")])
        assert (read[ItemId("a")].attributes, set(read[ItemId("a")].vectors)) == ({"v": 2}, {Modality.IMAGE})
        assert set(read) == {"a", "b"}

        await index.write([tombstone("a", at_ms=3000)])
        assert set(await index.fetch([ItemId("a"), ItemId("b")])) == {"b"}
        await index.write([item("a", at_ms=4000, attributes={"v": 3})])
        assert (await index.fetch([ItemId("a")]))[ItemId("a")].attributes == {"v": 3}

    async def test_attributes_that_changed_are_filtered_by(self, index: VectorIndex) -> None:
        """The newest attributes count, also when they are gone."""
        await index.write([item("a", attributes={"year": 2020})])
        await index.write([item("a", at_ms=2000, attributes={"year": 2024})])
        assert await found(index, text_search(unit(1), filter=".year == 2020")) == []
        assert await found(index, text_search(unit(1), filter=".year == 2024")) == ["a"]

        await index.write([item("a", at_ms=3000)])
        assert await found(index, text_search(unit(1), filter=".year == 2024")) == []

    async def test_an_empty_index_finds_nothing(self, index: VectorIndex) -> None:
        """No vector set is no trouble."""
        assert await found(index, text_search(unit(1), filter=".a == 1")) == []

    async def test_counts_and_ids(self, index: VectorIndex) -> None:
        """Items are counted by modality; deleted ones are not."""
        both = {Modality.TEXT: unit(1), Modality.IMAGE: unit(2)}
        await index.write([item("a", vectors=both), item("b"), item("c"), tombstone("c", at_ms=2000)])

        counts = await index.counts()

        assert (counts[Modality.TEXT], counts[Modality.IMAGE], counts[Modality.AUDIO]) == (2, 1, 0)
        assert sorted(await index.scan_ids(10)) == ["a", "b"]
        assert len(await index.scan_ids(1)) == 1

    async def test_a_sample_is_of_the_modality_and_has_nothing_twice(self, index: VectorIndex) -> None:
        """Exact vectors of distinct items that have it, as many as asked for or as there are."""
        stored = {f"i{seed}": unit(seed) for seed in range(40)}
        await index.write([item(name, vectors={Modality.TEXT: vector}) for name, vector in stored.items()])
        await index.write([item(f"p{seed}", vectors={Modality.IMAGE: unit(100 + seed)}) for seed in range(40)])
        await index.write([tombstone("i0", at_ms=2000)])

        some, all_there = [await index.sample_vectors(Modality.TEXT, count) for count in (10, 100)]

        del stored["i0"]
        assert (some.vectors.shape, some.vectors.dtype) == ((10, DIMS), np.float32)
        assert len(set(some.item_ids)) == len(some.item_ids) == 10
        for item_id, vector in zip(some.item_ids, some.vectors, strict=True):
            np.testing.assert_array_equal(vector, stored[item_id])
        assert sorted(all_there.item_ids) == sorted(stored)
        assert all_there.vectors.shape == (39, DIMS)

    async def test_samples_differ(self, index: VectorIndex) -> None:
        """They are drawn at random: twenty samples of one are not all the same item."""
        await index.write([item(f"i{seed}", vectors={Modality.TEXT: unit(seed)}) for seed in range(40)])

        drawn = [await index.sample_vectors(Modality.TEXT, 1) for _ in range(20)]

        assert len({sample.item_ids for sample in drawn}) > 1

    async def test_an_empty_modality_gives_an_empty_sample(self, index: VectorIndex) -> None:
        """Of the right shape."""
        sample = await index.sample_vectors(Modality.AUDIO, 5)

        assert (sample.item_ids, sample.vectors.shape) == ((), (0, DIMS))

    async def test_a_fitting_store_passes_its_check(self, index: VectorIndex) -> None:
        """Empty or filled, once or again."""
        await index.check()
        await index.write([item("a")])
        await index.check()


def _fields(value: Item) -> dict[str, Any]:
    return {name: getattr(value, name) for name in ("item_id", "version", "vectors", "attributes")}
