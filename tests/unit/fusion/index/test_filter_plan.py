"""Plans of filtered searches: the cheaper way by what a sample says."""

import pytest

from fusion.index.filter_plan import LISTED, Selected, Way, plan_filtered, wider


@pytest.mark.parametrize(
    ("size", "matching", "way"),
    [
        (50_000, 128, Way.GRAPH),  # every second item
        (50_000, 8, Way.SCAN),  # one in 30: too many to list
        (50_000, 2, Way.LISTING),
        (50_000, 0, Way.LISTING),
        (2_000_000, 128, Way.GRAPH),
        (2_000_000, 8, Way.GRAPH),  # a scan of millions costs more than a long walk
        (2_000_000, 0, Way.LISTING),
        (50_000_000, 0, Way.GRAPH),
    ],
)
def test_the_cheaper_way_is_taken(size: int, matching: int, way: Way) -> None:
    """By the shard's size and the share of 256 sampled items that match."""
    assert plan_filtered(Selected(size, 256, matching), searches=4, effort=200).way is way


def test_rare_filters_may_take_more_steps() -> None:
    """Four times as many as expected, and never fewer than are kept."""
    common, rare = (plan_filtered(Selected(10_000_000, 256, n), searches=1, effort=200) for n in (256, 8))

    assert 800 <= common.steps < 900
    assert rare.steps > 20 * common.steps


def test_more_steps_are_tried_only_where_that_beats_looking_at_everything() -> None:
    """Ten times as many in a shard of millions; in a small one it is scanned at once."""
    few, many = Selected(50_000, 256, 128), Selected(100_000_000, 256, 128)
    plan = plan_filtered(few, searches=1, effort=200)

    assert wider(plan, few) is None
    again = wider(plan, many)
    assert again is not None
    assert again.steps == 10 * plan.steps


def test_a_listing_is_only_planned_where_it_is_likely_to_hold_all() -> None:
    """Three quarters of the bound by the sample, as a sample may be wrong."""
    assert Selected(50_000, 256, 7).few
    assert not Selected(50_000, 256, 8).few
    assert 50_000 * 7 / 256 < 0.75 * LISTED < 50_000 * 8 / 256
