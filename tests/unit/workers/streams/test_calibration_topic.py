"""A table of backgrounds outlives the loss of Redis: it is sent when it is written, and comes back from the topic."""

import pytest

from config.errors import RetryLater
from config.vocabulary import Background, Modality, ModelRef
from fusion.index.calibration import MeasuredTable, StoredCalibration
from fusion.index.memory_calibration import MemoryCalibrationStore
from fusion.index.protocol import WriteOutcome
from tests.fusion_builders import DIMS, MODEL
from workers.contracts.calibration import MODEL_CALIBRATIONS
from workers.streams.calibration_topic import KeptCalibrationStore
from workers.streams.memory import MemoryPublisher

TOPIC = "cc.calibration"
NOW_MS = 5_000


class SentHistory:
    """What a publisher in memory was sent; away when told to be."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        self._publisher = publisher
        self.reads = 0
        self.away = False

    async def read(self, model: ModelRef) -> StoredCalibration | None:
        """The last record of the model."""
        self.reads += 1
        if self.away:
            raise RetryLater("the broker is away")
        value = self._publisher.compacted(TOPIC).get(str(model).encode())
        return None if value is None else MODEL_CALIBRATIONS.validate_json(value).unpacked()


def calibration(revision: int, mean: float = 0.1) -> StoredCalibration:
    """A table that counts and one that follows, with numbers that no short decimal is."""
    tables = [
        MeasuredTable(
            backgrounds={(Modality.TEXT, Modality.IMAGE): Background(mean=mean / number, std=0.1 / 3)},
            measured_at_ms=1_000 + number,
            effective_at_ms=1_030 + number,
            items={Modality.TEXT: 12, Modality.IMAGE: 0},
        )
        for number in (3, 7)
    ]
    return StoredCalibration(revision=revision, tables=tuple(tables))


@pytest.fixture
def publisher() -> MemoryPublisher:
    """The broker."""
    return MemoryPublisher()


@pytest.fixture
def history(publisher: MemoryPublisher) -> SentHistory:
    """What it keeps."""
    return SentHistory(publisher)


def kept(publisher: MemoryPublisher, history: SentHistory, store: MemoryCalibrationStore) -> KeptCalibrationStore:
    """A query worker's store over what it shares with others."""
    return KeptCalibrationStore(
        store, model=MODEL, history=history, publisher=publisher, topic=TOPIC, clock=lambda: NOW_MS
    )


async def test_a_lost_table_comes_back_to_the_last_digit(publisher: MemoryPublisher, history: SentHistory) -> None:
    """An empty store gets it at the first look, measured as of now: what would replace it knows no queries."""
    worker = kept(publisher, history, MemoryCalibrationStore(DIMS))
    for revision in (1, 2):
        await worker.write(calibration(revision))
    empty = MemoryCalibrationStore(DIMS)

    found = await kept(publisher, history, empty).read()

    assert found is not None
    assert found == await empty.read()
    assert found.revision == 2
    assert [table.backgrounds for table in found.tables] == [table.backgrounds for table in calibration(1).tables]
    assert [table.effective_at_ms for table in found.tables] == [1_033, 1_037]
    assert [table.measured_at_ms for table in found.tables] == [1_003, NOW_MS]


async def test_where_nothing_was_measured_the_topic_is_read_once(
    publisher: MemoryPublisher, history: SentHistory
) -> None:
    """A new system looks every few seconds; after a loss it reads again."""
    store = MemoryCalibrationStore(DIMS)
    worker = kept(publisher, history, store)
    assert [await worker.read() for _ in range(3)] == [None] * 3
    assert history.reads == 1

    await worker.write(calibration(1))
    assert await worker.read() == calibration(1)
    store._stored = None

    assert await worker.read() is not None
    assert history.reads == 2


async def test_while_the_topic_cannot_be_read_nothing_counts_as_lost(
    publisher: MemoryPublisher, history: SentHistory
) -> None:
    """Else it would be measured anew, and that would replace what the topic holds."""
    history.away = True
    worker = kept(publisher, history, MemoryCalibrationStore(DIMS))
    for _ in range(2):
        with pytest.raises(RetryLater):
            await worker.read()


async def test_what_was_not_confirmed_is_sent_at_the_next_look(
    publisher: MemoryPublisher, history: SentHistory
) -> None:
    """Once; and not at all when another worker has measured since, who sent that."""
    store = MemoryCalibrationStore(DIMS)
    worker = kept(publisher, history, store)
    publisher.fail(TOPIC, RetryLater("the broker is away"))
    with pytest.raises(RetryLater):
        await worker.write(calibration(1))
    publisher.recover()
    for _ in range(2):
        assert await worker.read() == calibration(1)
    assert len(publisher.on(TOPIC)) == 1

    publisher.fail(TOPIC, RetryLater("the broker is away"))
    with pytest.raises(RetryLater):
        await worker.write(calibration(2))
    publisher.recover()
    await kept(publisher, history, store).write(calibration(3))
    await worker.read()
    assert [MODEL_CALIBRATIONS.validate_json(each.value or b"").revision for each in publisher.on(TOPIC)] == [1, 3]


async def test_a_stale_table_is_not_sent(publisher: MemoryPublisher, history: SentHistory) -> None:
    """Of two workers that measured, one is heard."""
    worker = kept(publisher, history, MemoryCalibrationStore(DIMS))
    await worker.write(calibration(1))
    assert await worker.write(calibration(1, mean=0.9)) is WriteOutcome.STALE
    assert len(publisher.on(TOPIC)) == 1
