"""The query worker's backgrounds follow the index, alike in every worker, and trouble leaves them as they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Misconfigured, RetryLater
from config.vocabulary import Background, ItemId, Modality, Role, Version
from fusion.answer import answer
from fusion.index.calibration import StoredCalibration
from fusion.index.memory_calibration import MemoryCalibrationStore
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, VectorSample
from fusion.request import QueryPart, RankingRequest
from tests.fusion_builders import DIMS, MODEL, unit
from workers.streams.calibration import CalibrationKeeper, FixedCalibration
from workers.streams.metrics import Metrics

TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
PRIOR = {(TEXT, TEXT): Background(mean=0.0, std=0.2), (TEXT, IMAGE): Background(mean=0.0, std=0.2)}
REFRESH_S = 100.0
LEAD_MS = 30_000


class BrittleStore(MemoryCalibrationStore):
    """A store that is away when told to be."""

    def __init__(self) -> None:
        super().__init__(DIMS, clock=lambda: 0.0)
        self.trouble: Exception | None = None

    async def read(self) -> StoredCalibration | None:
        """Read, or fail as told."""
        if self.trouble is not None:
            raise self.trouble
        return await super().read()

    async def claim(self, seconds: float) -> bool:
        """Always: the clock of these tests jumps."""
        return True


class CountedIndex(MemoryVectorIndex):
    """An index that knows how often it was sampled, and by what it is broken."""

    def __init__(self) -> None:
        super().__init__(MODEL, DIMS)
        self.samples = 0
        self.trouble: Exception | None = None

    async def sample_vectors(self, modality: Modality, count: int) -> VectorSample:
        """Sample, or fail as told."""
        self.samples += 1
        if self.trouble is not None:
            raise self.trouble
        return await super().sample_vectors(modality, count)


@dataclass
class House:
    """Keepers over one index and one store, with a clock moved by hand."""

    index: CountedIndex = field(default_factory=CountedIndex)
    store: BrittleStore = field(default_factory=BrittleStore)
    now_ms: int = 1_000_000
    written: int = 0

    def keeper(self, metrics: Metrics | None = None) -> CalibrationKeeper:
        """A worker's keeper."""
        return CalibrationKeeper(
            index=self.index,
            store=self.store,
            prior=PRIOR,
            refresh_s=REFRESH_S,
            metrics=metrics or Metrics(Role.QUERIES),
            clock=lambda: self.now_ms,
        )

    async def fill(self, count: int, centres: Mapping[Modality, float]) -> None:
        """Write items whose vectors lean to their modality's place on one common axis."""
        for _ in range(count):
            self.written += 1
            vectors = {
                modality: leaning(7000 * place + self.written, centre)
                for place, (modality, centre) in enumerate(centres.items())
            }
            await self.index.write([Item(item_id=ItemId(f"i{self.written}"), version=Version(1, 0), vectors=vectors)])


def leaning(seed: int, centre: float) -> NDArray[np.float32]:
    """A unit vector that leans to the first axis; unrelated ones then have a mean cosine of centre² / (1 + centre²)."""
    vector = unit(seed).astype(np.float64)
    vector[0] += centre
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def parts(count: int, centre: float) -> Sequence[QueryPart]:
    """Text parts that lean alike."""
    return [QueryPart(modality=TEXT, vector=leaning(90_000 + seed, centre)) for seed in range(count)]


async def test_what_shipped_counts_until_something_was_measured() -> None:
    """An empty index teaches nothing, and nothing is stored."""
    house = House()
    keeper = house.keeper()

    await keeper.look()

    assert keeper.table() == PRIOR
    assert await house.store.read() is None


async def test_the_table_follows_the_index() -> None:
    """As items drift together the background rises, once the table is old enough and its time has come."""
    house = House()
    keeper = house.keeper()
    await house.fill(100, {TEXT: 0.0, IMAGE: 0.0})
    await keeper.look()
    house.now_ms += LEAD_MS
    before = keeper.table()[TEXT, IMAGE]

    await house.fill(90, {TEXT: 1.5, IMAGE: 1.5})
    await keeper.look()
    assert keeper.table()[TEXT, IMAGE] == before, "it is not old yet"
    house.now_ms += int(REFRESH_S * 1000)
    await keeper.look()
    assert keeper.table()[TEXT, IMAGE] == before, "it is announced and does not count yet"
    house.now_ms += LEAD_MS

    assert before.mean == pytest.approx(0.0, abs=0.02)
    assert keeper.table()[TEXT, IMAGE].mean > before.mean + 0.02
    assert keeper.table()[IMAGE, IMAGE].mean > 0.1, "no prior holds this pair back"


async def test_an_index_that_doubled_does_not_wait() -> None:
    """The first thousand items of a new index come faster than the clock."""
    house = House()
    keeper = house.keeper()
    await house.fill(20, {IMAGE: 0.0})
    await keeper.look()
    house.now_ms += LEAD_MS
    before = keeper.table()[IMAGE, IMAGE]
    await house.fill(20, {IMAGE: 2.0})
    await keeper.look()
    house.now_ms += LEAD_MS

    assert keeper.table()[IMAGE, IMAGE].mean > before.mean + 0.1


async def test_workers_change_at_the_same_moment() -> None:
    """One measures, the others read; a worker that starts meanwhile has the table that counts."""
    house = House()
    await house.fill(50, {TEXT: 0.8, IMAGE: 0.8})
    measuring, reading = house.keeper(), house.keeper()
    await measuring.look()
    await reading.look()
    sampled = house.index.samples
    assert measuring.table() == reading.table() == PRIOR

    house.now_ms += LEAD_MS
    first = measuring.table()
    assert reading.table() == first != PRIOR
    await house.fill(60, {TEXT: 2.5, IMAGE: 2.5})
    await reading.look()
    await measuring.look()
    started = house.keeper()
    await started.load()

    assert measuring.table() == reading.table() == started.table() == first
    house.now_ms += LEAD_MS
    assert measuring.table() == reading.table() == started.table() != first
    assert house.index.samples == 2 * sampled, "each table was measured once"


async def test_equal_contents_and_table_give_equal_answers() -> None:
    """Which worker took the query does not show in scores or order."""
    house = House()
    await house.fill(60, {TEXT: 0.9, IMAGE: 0.4})
    workers = [house.keeper() for _ in range(3)]
    for worker in workers:
        await worker.look()
    house.now_ms += LEAD_MS
    asked = RankingRequest(parts=tuple(parts(1, 0.9)), k=20)

    rankings = [await answer(asked, house.index, worker.table()) for worker in workers]

    assert rankings[0].hits == rankings[1].hits == rankings[2].hits
    assert rankings[0].hits != (await answer(asked, house.index, PRIOR)).hits


async def test_questions_of_all_workers_count() -> None:
    """What people ask with lies elsewhere than the items: one worker hears it, another one measures."""
    house = House()
    await house.fill(300, {TEXT: 1.0})
    listening, measuring = house.keeper(), house.keeper()
    listening.asked(parts(200, -1.0))
    await listening._hand_over()

    await measuring.look()
    house.now_ms += LEAD_MS

    assert measuring.table()[TEXT, TEXT].mean < -0.15


async def test_a_table_that_still_fits_stays() -> None:
    """A second sample of the same items is noise; only its age changes."""
    house, metrics = House(), Metrics(Role.QUERIES)
    keeper = house.keeper(metrics)
    await house.fill(400, {TEXT: 0.5, IMAGE: 0.5})
    await keeper.look()
    house.now_ms += LEAD_MS
    before = keeper.table()
    house.now_ms += int(REFRESH_S * 1000)
    await keeper.look()

    assert keeper.table() is before or keeper.table() == before
    read = metrics.registry.get_sample_value
    assert read("crosscurrent_calibration_refreshes_total", {"outcome": "replaced"}) == 1
    assert read("crosscurrent_calibration_refreshes_total", {"outcome": "kept"}) == 1
    assert read("crosscurrent_calibration_timestamp_seconds") == house.now_ms / 1000


@pytest.mark.parametrize("trouble", [RetryLater("redis is away"), Misconfigured("not understood"), ZeroDivisionError()])
async def test_trouble_leaves_the_table_as_it_was(trouble: Exception) -> None:
    """A store or an index that is away, or a defect: counted, and queries go on."""
    house, metrics = House(), Metrics(Role.QUERIES)
    keeper = house.keeper(metrics)
    await house.fill(50, {TEXT: 0.8})
    await keeper.look()
    house.now_ms += LEAD_MS
    before = keeper.table()
    read = metrics.registry.get_sample_value

    house.now_ms += int(REFRESH_S * 1000)
    house.store.trouble = trouble
    await keeper.look()
    house.store.trouble, house.index.trouble = None, trouble
    await keeper.look()

    assert keeper.table() == before
    assert read("crosscurrent_calibration_refreshes_total", {"outcome": "failed"}) == 2
    house.index.trouble = None
    await house.fill(60, {TEXT: 3.0})
    await keeper.look()
    house.now_ms += LEAD_MS
    assert keeper.table() != before, "and later it goes on"


async def test_a_worker_waits_for_its_table_at_the_start() -> None:
    """A store that is away is waited for like the index; a table that cannot be read is measured anew."""
    house = House()
    keeper = house.keeper()
    house.store.trouble = RetryLater("redis is away")
    with pytest.raises(RetryLater):
        await keeper.load()

    house.store.trouble = Misconfigured("not understood")
    await keeper.load()

    assert keeper.table() == PRIOR


async def test_a_fixed_table_stays() -> None:
    """Whatever is asked."""
    fixed = FixedCalibration(PRIOR)

    fixed.asked(parts(9, 1.0))

    assert fixed.table() is PRIOR
