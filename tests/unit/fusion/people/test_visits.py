"""The visit that is going on, and where it points."""

import numpy as np
import pytest

from config.vocabulary import ItemId
from fusion.people.protocol import Step
from fusion.people.visits import current_visit, direction_of
from tests.fusion_builders import unit

NOW_MS = 1_760_000_000_000
TIMEOUT_S = 1800.0


def step(item_id: str, minutes_ago: float, session_id: str | None = None, weight: float = 1.0) -> Step:
    """A step some minutes before now."""
    at_ms = NOW_MS - round(minutes_ago * 60_000)
    return Step(item_id=ItemId(item_id), weight=weight, occurred_at_ms=at_ms, session_id=session_id)


def visit(*steps: Step) -> str:
    """Items of the current visit, newest first."""
    return "".join(each.item_id for each in current_visit(steps, now_ms=NOW_MS, timeout_s=TIMEOUT_S))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], ""),
        ([step("a", 1), step("b", 20), step("c", 45)], "abc"),
        ([step("a", 1), step("b", 40)], "a"),
        ([step("a", 31)], ""),
        ([step("a", 1, "s"), step("b", 2, "r"), step("c", 3, "s"), step("d", 300, "s")], "acd"),
        ([step("a", 1), step("b", 2, "s"), step("c", 3, "r"), step("d", 4)], "abd"),
        ([step("a", 1, "s"), step("b", 50), step("c", 60, "s")], "ac"),
        ([step("a", 31, "s")], ""),
    ],
    ids=[
        "none",
        "small pauses",
        "a long pause",
        "over",
        "sessions",
        "some untold",
        "pause among sessions",
        "old session",
    ],
)
def test_a_visit_is_a_session_or_what_no_long_pause_parts(steps: list[Step], expected: str) -> None:
    """Session ids decide where both have one, else a pause of at most half an hour."""
    assert visit(*steps) == expected


def test_the_direction_fades_step_by_step_and_points_away_from_dislikes() -> None:
    """A step one half-life before the newest counts half; an unknown item counts nothing."""
    steps = [step("a", 1), step("b", 11, weight=-3.0), step("gone", 12)]
    vectors = {ItemId("a"): unit(1), ItemId("b"): unit(2)}

    direction = direction_of(steps, vectors, half_life_s=600)

    expected = unit(1) - 1.5 * unit(2)
    assert direction == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert direction_of(steps, {}, half_life_s=600) is None
