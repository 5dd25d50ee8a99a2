"""What every store of measured backgrounds does, whatever it is made of."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from config.settings import RedisSettings
from config.vocabulary import Background, Modality, ModelRef
from fusion.index.calibration import (
    QUERIES_KEPT,
    QUERIES_KEPT_MS,
    CalibrationStore,
    MeasuredTable,
    StoredCalibration,
)
from fusion.index.memory_calibration import MemoryCalibrationStore
from fusion.index.protocol import WriteOutcome
from fusion.index.redis_calibration import RedisCalibrationStore
from tests.fusion_builders import DIMS, MODEL, unit

KINDS = ("memory", "redis with 1 shard", "redis with 4 shards")
NOW_MS = 1_760_000_000_000
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[CalibrationStore]:
    """The store under test, empty."""
    made: CalibrationStore
    if request.param == "memory":
        made = MemoryCalibrationStore(DIMS)
    else:
        url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")
        settings = RedisSettings(url=url, prefix=prefix, shards=4 if "4" in request.param else 1)
        made = RedisCalibrationStore(settings, MODEL, DIMS)
    yield made
    await made.close()


def calibration(revision: int = 1, mean: float = 0.1) -> StoredCalibration:
    """Two tables, with numbers that no short decimal is."""
    tables = [
        MeasuredTable(
            backgrounds={
                (TEXT, IMAGE): Background(mean=mean / number, std=0.1 / 3),
                (IMAGE, TEXT): Background(mean=-0.2, std=1e-6),
            },
            measured_at_ms=NOW_MS + number,
            effective_at_ms=NOW_MS + 30 + number,
            items={TEXT: 12, IMAGE: 0},
        )
        for number in (3, 7)
    ]
    return StoredCalibration(revision=revision, tables=tuple(tables))


class TestTables:
    """One for all who ask."""

    async def test_nothing_was_measured_at_first(self, store: CalibrationStore) -> None:
        """Not an empty table."""
        assert await store.read() is None

    async def test_what_is_written_is_read_to_the_last_digit(self, store: CalibrationStore) -> None:
        """All workers calculate with the same numbers."""
        assert await store.write(calibration()) is WriteOutcome.APPLIED

        assert await store.read() == calibration()

    @pytest.mark.parametrize("revision", [0, 1, 3, 99])
    async def test_only_the_next_revision_replaces_it(self, store: CalibrationStore, revision: int) -> None:
        """Of two workers that measured at once the first is heard."""
        await store.write(calibration(1))

        assert await store.write(calibration(revision, mean=0.9)) is WriteOutcome.STALE
        assert await store.read() == calibration(1)
        assert await store.write(calibration(2, mean=0.9)) is WriteOutcome.APPLIED
        assert await store.read() == calibration(2, mean=0.9)

    async def test_what_was_lost_is_put_back_unless_something_as_late_is_there(self, store: CalibrationStore) -> None:
        """Whatever its revision; what was measured later stays."""
        assert await store.restore(calibration(7)) is WriteOutcome.APPLIED
        assert await store.read() == calibration(7)

        for revision in (6, 7):
            assert await store.restore(calibration(revision, mean=0.9)) is WriteOutcome.STALE
        assert await store.read() == calibration(7)
        assert await store.write(calibration(8, mean=0.9)) is WriteOutcome.APPLIED


class TestClaims:
    """One worker measures at a time."""

    async def test_a_claim_keeps_others_away_until_it_runs_out(self, store: CalibrationStore) -> None:
        """A worker that dies while it measures holds nobody up for long."""
        assert await store.claim(0.15)
        assert not await store.claim(0.15)

        await asyncio.sleep(0.2)

        assert await store.claim(60)
        assert not await store.claim(60)


class TestQueries:
    """What people asked with lately."""

    async def test_vectors_come_back_by_modality(self, store: CalibrationStore) -> None:
        """In full precision, the earlier first; equal ones once."""
        early, late = np.stack([unit(1)]), np.stack([unit(2), unit(2)])
        await store.remember({TEXT: early, IMAGE: early}, now_ms=NOW_MS)
        await store.remember({TEXT: late}, now_ms=NOW_MS + 1)

        read = await store.remembered(now_ms=NOW_MS + 2)

        assert read.keys() == {TEXT, IMAGE}
        np.testing.assert_array_equal(read[TEXT], [unit(1), unit(2)])
        np.testing.assert_array_equal(read[IMAGE], [unit(1)])
        assert read[TEXT].dtype == np.float32

    async def test_nothing_asked_is_nothing_remembered(self, store: CalibrationStore) -> None:
        """Empty batches are fine."""
        await store.remember({}, now_ms=NOW_MS)
        await store.remember({TEXT: np.zeros((0, DIMS), np.float32)}, now_ms=NOW_MS)

        assert await store.remembered(now_ms=NOW_MS) == {}

    async def test_the_latest_are_kept(self, store: CalibrationStore) -> None:
        """One who asks the same again and again pushes nobody out."""
        vectors = np.stack([unit(seed) for seed in range(QUERIES_KEPT + 5)])
        await store.remember({TEXT: vectors[:5]}, now_ms=NOW_MS)
        await store.remember({TEXT: vectors[5:]}, now_ms=NOW_MS + 1)
        await store.remember({TEXT: np.repeat(vectors[-1:], 99, axis=0)}, now_ms=NOW_MS + 2)

        read = (await store.remembered(now_ms=NOW_MS + 3))[TEXT]

        assert {row.tobytes() for row in read} == {row.tobytes() for row in vectors[5:]}
        assert len(read) == QUERIES_KEPT

    async def test_a_day_later_they_are_gone(self, store: CalibrationStore) -> None:
        """As the queries' own records are."""
        await store.remember({TEXT: np.stack([unit(1)])}, now_ms=NOW_MS)

        assert TEXT in await store.remembered(now_ms=NOW_MS + QUERIES_KEPT_MS - 1)
        assert await store.remembered(now_ms=NOW_MS + QUERIES_KEPT_MS) == {}


async def test_models_keep_their_own(redis_url: str, prefix: str) -> None:
    """A table of another space would be nonsense."""
    settings = RedisSettings(url=redis_url, prefix=prefix)
    one, other = [RedisCalibrationStore(settings, ModelRef("m", version), DIMS) for version in "12"]
    await one.write(calibration())
    await one.remember({TEXT: np.stack([unit(1)])}, now_ms=NOW_MS)

    assert await other.read() is None
    assert await other.remembered(now_ms=NOW_MS) == {}
    assert await other.claim(60)
    await one.close()
    await other.close()
