"""What may follow what among layouts, and how the record is written."""

import pytest

from config.errors import Misconfigured
from config.vocabulary import ModelRef
from fusion.index.layouts import (
    Layout,
    LayoutRecord,
    OtherState,
    begun,
    dropped,
    dump_record,
    filled,
    flipped,
    forgotten,
    load_record,
)

MODEL = ModelRef("m", "1")
ONE = Layout(name="", shards=1, model=MODEL)
FOUR = Layout(name="four", shards=4, model=MODEL)


def test_a_whole_change() -> None:
    """Begun, filled, flipped, back, forward, dropped, forgotten: who answers, who follows, one generation each."""
    filling = begun(None, ONE, FOUR)
    full = filled(filling)
    forward = flipped(full, OtherState.FILLED)
    back = flipped(forward, OtherState.PREVIOUS)
    again = flipped(back, OtherState.FILLED)
    gone = dropped(again)
    alone = forgotten(gone)

    steps = [filling, full, forward, back, again, gone, alone]
    assert [each.generation for each in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.live for each in steps] == [ONE, ONE, FOUR, ONE, FOUR, FOUR, FOUR]
    assert [each.of(MODEL) for each in steps] == [
        (ONE, FOUR),
        (ONE, FOUR),
        (FOUR, ONE),
        (ONE, FOUR),
        (FOUR, ONE),
        (FOUR,),
        (FOUR,),
    ]
    assert begun(alone, ONE, ONE).live == FOUR


@pytest.mark.parametrize("record", [None, LayoutRecord(generation=7, live=ONE)])
def test_nothing_to_go_to(record: LayoutRecord | None) -> None:
    """With one layout there is no flip, no way back, nothing to drop, and a second one must differ."""
    for wanted in (OtherState.FILLED, OtherState.PREVIOUS):
        with pytest.raises(Misconfigured, match="one layout only"):
            flipped(record, wanted)
    with pytest.raises(Misconfigured, match="one layout only"):
        dropped(record)
    with pytest.raises(Misconfigured, match="like that already"):
        begun(record, ONE, Layout(name="same", shards=1, model=MODEL))


def test_only_forward_to_what_is_filled_and_back_to_what_was_live() -> None:
    """Every other change is refused, and says what the other layout is."""
    filling = begun(None, ONE, FOUR)
    full = filled(filling)
    previous = flipped(full, OtherState.FILLED)
    for record, wanted in [
        (filling, OtherState.FILLED),
        (filling, OtherState.PREVIOUS),
        (full, OtherState.PREVIOUS),
        (previous, OtherState.FILLED),
    ]:
        with pytest.raises(Misconfigured, match=str(record.state)):
            flipped(record, wanted)
    with pytest.raises(Misconfigured, match="one layout only"):
        flipped(dropped(full), OtherState.FILLED)
    with pytest.raises(Misconfigured, match="there already"):
        begun(full, ONE, Layout(name="third", shards=3, model=MODEL))


def test_a_drop_that_was_ended_is_gone_on_with() -> None:
    """Dropping what is dropped changes nothing."""
    gone = dropped(begun(None, ONE, FOUR))
    assert dropped(gone) is gone


def test_the_record_is_read_as_it_was_written() -> None:
    """Each state of it; what is no record is refused with the way out."""
    filling = begun(None, ONE, FOUR)
    for record in (filling, filled(filling), forgotten(dropped(filling))):
        assert load_record(dump_record(record).encode()) == record
    with pytest.raises(Misconfigured, match="use the version that wrote it"):
        load_record(b'{"generation": 1}')


def test_a_layout_belongs_to_a_model() -> None:
    """Items of another model lie in none of them."""
    other = Layout(name="new", shards=1, model=ModelRef("m", "2"))
    record = begun(None, ONE, other)
    assert record.of(MODEL) == (ONE,)
    assert record.of(ModelRef("m", "2")) == (other,)
    assert record.of(ModelRef("m", "3")) == ()
