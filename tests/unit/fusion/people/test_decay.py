"""Decay: the same however it is added up, and never out of range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.people.decay import add_log2, backward, decayed, forward_log2

DAY_S = 86_400.0
NOW_MS = 1_760_000_000_000


def test_half_is_left_after_a_half_life() -> None:
    """And all of it when the reader is early."""
    assert decayed(8.0, from_ms=0, to_ms=2000, half_life_s=1.0) == 2.0
    assert decayed(8.0, from_ms=2000, to_ms=0, half_life_s=1.0) == 8.0


@given(st.lists(st.tuples(st.floats(0.1, 10), st.integers(0, 30 * 86_400_000)), min_size=1, max_size=20), st.randoms())
def test_forward_decay_equals_decay_of_each(actions: list[tuple[float, int]], random: object) -> None:
    """Added in any order, the total is the sum of what each action has left."""
    expected = sum(
        decayed(weight, from_ms=NOW_MS - age_ms, to_ms=NOW_MS, half_life_s=DAY_S) for weight, age_ms in actions
    )
    random.shuffle(actions)  # type: ignore[attr-defined]
    logs = [forward_log2(weight, NOW_MS - age_ms, DAY_S) for weight, age_ms in actions]

    total = logs[0]
    for each in logs[1:]:
        total = add_log2(total, each)

    assert backward(total, NOW_MS, DAY_S) == pytest.approx(expected, rel=1e-9)
