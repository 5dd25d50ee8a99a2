"""When backgrounds are measured anew, and from when on they count."""

from collections.abc import Mapping

import pytest

from config.vocabulary import Background, Modality
from fusion.index.calibration import MeasuredTable, StoredCalibration
from fusion.recalibration import Timetable, in_effect, is_due, succeed

PAIR = (Modality.TEXT, Modality.IMAGE)
OLD, NEW = {PAIR: Background(mean=0.2, std=0.1)}, {PAIR: Background(mean=0.3, std=0.1)}
TIMES = Timetable(refresh_ms=1000, lead_ms=30)


def table(backgrounds: Mapping[tuple[Modality, Modality], Background], at_ms: int, texts: int = 100) -> MeasuredTable:
    """Measured at a time and in effect thirty milliseconds later."""
    return MeasuredTable(
        backgrounds=backgrounds, measured_at_ms=at_ms, effective_at_ms=at_ms + 30, items={Modality.TEXT: texts}
    )


def stored(*tables: MeasuredTable, revision: int = 1) -> StoredCalibration:
    """What is kept."""
    return StoredCalibration(revision=revision, tables=tables)


@pytest.mark.parametrize(("now_ms", "place"), [(1029, None), (1030, 0), (2029, 0), (2030, 1), (10**9, 1)], ids=str)
def test_a_table_counts_from_the_time_it_names(now_ms: int, place: int | None) -> None:
    """Before the first one nothing that was measured does."""
    tables = (table(OLD, 1000), table(NEW, 2000))

    assert in_effect(stored(*tables), now_ms) is (None if place is None else tables[place])
    assert in_effect(None, now_ms) is None


@pytest.mark.parametrize(
    ("kept", "texts", "now_ms", "due"),
    [
        (None, 7, 0, False),
        (None, 8, 0, True),
        (stored(table(OLD, 1000)), 100, 1999, False),
        (stored(table(OLD, 1000)), 100, 2000, True),
        (stored(table(OLD, 1000)), 199, 1500, False),
        (stored(table(OLD, 1000)), 200, 1500, True),
        (stored(table(OLD, 1000)), 200, 1029, False),
        (stored(table(OLD, 1000, texts=1)), 7, 1500, False),
        (stored(table(OLD, 1000, texts=1)), 8, 1500, True),
    ],
    ids=[
        "nothing to measure",
        "never measured",
        "fresh",
        "old",
        "grown a little",
        "doubled",
        "one change at a time",
        "still tiny",
        "no longer tiny",
    ],
)
def test_it_is_measured_when_it_is_old_or_the_index_grew(
    kept: StoredCalibration | None, texts: int, now_ms: int, due: bool
) -> None:
    """And not while an announced table waits for its time."""
    assert is_due(kept, {Modality.TEXT: texts, Modality.IMAGE: 0}, now_ms, TIMES) is due


def test_the_first_table_is_announced() -> None:
    """It counts thirty milliseconds later."""
    first = succeed(None, OLD, {Modality.TEXT: 9}, 5000, TIMES)

    assert first == stored(
        MeasuredTable(backgrounds=OLD, measured_at_ms=5000, effective_at_ms=5030, items={Modality.TEXT: 9})
    )


def test_the_one_that_counts_stays_until_the_next_does() -> None:
    """Also for a worker that starts in between; what is older is dropped."""
    before = stored(table({}, 0), table(OLD, 1000), revision=2)

    after = succeed(before, NEW, {Modality.TEXT: 100}, 5000, TIMES)

    assert after == stored(table(OLD, 1000), table(NEW, 5000), revision=3)


@pytest.mark.parametrize(
    ("mean", "std", "changes"),
    [
        (0.2, 0.1, False),
        (0.209, 0.1, False),
        (0.211, 0.1, True),
        (0.189, 0.1, True),
        (0.2, 0.112, True),
        (0.2, 0.09, True),
    ],
)
def test_a_table_that_says_nearly_the_same_replaces_nothing(mean: float, std: float, changes: bool) -> None:
    """A tenth of a deviation is noise; that it still fits is noted."""
    before = stored(table(OLD, 1000))

    after = succeed(before, {PAIR: Background(mean=mean, std=std)}, {Modality.TEXT: 150}, 5000, TIMES)

    assert len(after.tables) == (2 if changes else 1)
    assert after.tables[-1].measured_at_ms == 5000
    assert after.tables[-1].items == {Modality.TEXT: 150}
    assert after.tables[0].backgrounds == OLD
    if not changes:
        assert after.tables[0].effective_at_ms == 1030


def test_a_pair_that_is_new_is_worth_a_change() -> None:
    """Nothing was known of it."""
    more = OLD | {(Modality.TEXT, Modality.TEXT): Background(mean=0.0, std=0.1)}

    assert len(succeed(stored(table(OLD, 1000)), more, {}, 5000, TIMES).tables) == 2
