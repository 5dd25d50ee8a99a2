"""Boosts: each formula by hand, each bound by search, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import RejectEvent
from config.vocabulary import Attributes, BoostShape, ItemId, MissingRule
from fusion.boosts import Facts, Numeric, Popularity, Recency, boosts_of, check_boosts, with_boosts

DAY_S = 86_400.0
NOW = datetime(2026, 5, 1, tzinfo=UTC)
RENORMALISE, PENALISE = MissingRule.RENORMALISE, MissingRule.PENALISE


def facts(*attributes: Attributes, ages_days: tuple[float, ...] = ()) -> Facts:
    """Items named a, b, … of these attributes and ages, asked about on 1 May 2026."""
    now_ms = int(NOW.timestamp() * 1000)
    ages = ages_days or (0.0,) * len(attributes)
    return Facts(
        ids=[ItemId(chr(ord("a") + place)) for place in range(len(ages))],
        attributes=attributes or ({},) * len(ages),
        occurred_ms=[now_ms - int(age * DAY_S * 1000) for age in ages],
        asked_at_ms=now_ms,
    )


def number(shape: BoostShape, **changes: Any) -> Numeric:
    """Price, best at 100, half at 150."""
    return Numeric(**{"share": 0.3, "attribute": "price", "shape": shape, "origin": 100.0, "scale": 50.0, **changes})


def prices(*values: float) -> Facts:
    """Items with these prices."""
    return facts(*({"price": value} for value in values))


class TestFormulas:
    """Numbers anyone can check."""

    def test_recency_halves_every_half_life(self) -> None:
        """New, a week, two weeks, and one that lies ahead."""
        values = Recency(share=0.2, half_life_s=7 * DAY_S).values(facts(ages_days=(0, 7, 14, -3)))

        assert values == pytest.approx([1.0, 0.5, 0.25, 1.0])

    def test_recency_reads_times_from_attributes(self) -> None:
        """Seconds since 1970, RFC 3339 with or without a zone or a time; anything else is no time."""
        week = Recency(share=0.2, half_life_s=7 * DAY_S, attribute="shot")
        a_week_ago = NOW.timestamp() - 7 * DAY_S
        read = facts(
            {"shot": a_week_ago},
            {"shot": "2026-04-24T00:00:00Z"},
            {"shot": "2026-04-24"},
            {"shot": "2026-04-24T02:00:00+02:00"},
            {"shot": "last week"},
            {"shot": ["2026-04-24"]},
            {},
        )

        values = week.values(read)

        assert values[:4] == pytest.approx([0.5] * 4)
        assert np.isnan(values[4:]).all()

    def test_popularity_is_a_share_of_logarithms(self) -> None:
        """The strongest trend is 1; what nobody acts on is 0, and so is everything where nothing trends."""
        popular = Popularity(share=0.2, weights={ItemId("a"): 99.0, ItemId("b"): 9.0})

        assert popular.values(facts(ages_days=(0, 0, 0))) == pytest.approx([1.0, 0.5, 0.0])
        assert Popularity(share=0.2).values(facts(ages_days=(0, 0))).tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            (BoostShape.LINEAR, [1.0, 0.5, 0.5, 0.0, 0.0]),
            (BoostShape.GAUSS, [1.0, 0.5, 0.5, 0.0625, 2.0**-16]),
            (BoostShape.LOG, [0.0, 0.5, 0.0, np.log2(3) / (1 + np.log2(3)), np.log2(5) / (1 + np.log2(5))]),
        ],
    )
    def test_numbers(self, shape: BoostShape, expected: list[float]) -> None:
        """Each shape is half one scale from the origin."""
        assert number(shape).values(prices(100, 150, 50, 200, 300)) == pytest.approx(expected)

    def test_what_is_no_number_is_missing(self) -> None:
        """A text, a list, nothing; a truth value counts as in filters."""
        values = number(BoostShape.GAUSS, origin=1).values(facts({"price": "9"}, {"price": ["9"]}, {}, {"price": True}))

        assert np.isnan(values[:3]).all()
        assert values[3] == 1.0


class TestBlending:
    """Shares of a score."""

    def test_a_boost_takes_its_share(self) -> None:
        """(1 - 0.3) · 0.8 + 0.3 · 0.5."""
        said = boosts_of([number(BoostShape.GAUSS)], prices(150), RENORMALISE)

        assert with_boosts(np.array([0.8]), said) == pytest.approx([0.71])
        assert said is not None
        assert said.of(0) == {"number:price": (0.5, 0.3)}

    def test_what_is_missing_is_left_out_or_counts_nothing(self) -> None:
        """By the rule: its share goes back to the rest, in proportion, or to no one."""
        asked = [number(BoostShape.GAUSS), Recency(share=0.2, half_life_s=DAY_S)]
        bare = facts({}, ages_days=(1,))

        kept = with_boosts(np.array([0.8]), boosts_of(asked, bare, RENORMALISE))
        lost = with_boosts(np.array([0.8]), boosts_of(asked, bare, PENALISE))

        assert kept == pytest.approx([(0.5 * 0.8 + 0.2 * 0.5) / 0.7])
        assert lost == pytest.approx([0.5 * 0.8 + 0.2 * 0.5])

    def test_boosts_that_decide_everything_leave_those_without_to_their_content(self) -> None:
        """There is nothing else to judge them by."""
        everything = boosts_of([number(BoostShape.GAUSS, share=1.0)], facts({"price": 100}, {}), RENORMALISE)

        assert with_boosts(np.array([0.1, 0.6]), everything) == pytest.approx([1.0, 0.6])

    def test_without_boosts_scores_are_as_they_were(self) -> None:
        """Nothing is asked, nothing is changed."""
        assert boosts_of([], facts({}), RENORMALISE) is None
        assert with_boosts(np.array([0.3]), None).tolist() == [0.3]

    @given(st.data())
    def test_values_and_scores_stay_in_bounds(self, data: st.DataObject) -> None:
        """In [0, 1] whatever items say, and no score moves by more than the shares together."""
        anything = st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9) | st.text(max_size=5) | st.booleans() | st.none()
        read = data.draw(st.lists(anything, min_size=1, max_size=6))
        share, scale = data.draw(st.floats(0.01, 0.5)), data.draw(st.floats(1e-3, 1e6))
        shape, missing = data.draw(st.sampled_from(BoostShape)), data.draw(st.sampled_from(MissingRule))
        boost = number(shape, origin=data.draw(st.floats(-1e6, 1e6)), scale=scale, share=share)
        seen = facts(*({} if value is None else {"price": value} for value in read))
        scores = np.linspace(0, 1, len(read))

        said = boosts_of([boost, Recency(share=share, half_life_s=scale)], seen, missing)
        boosted = with_boosts(scores, said)

        assert said is not None
        known = said.values[~np.isnan(said.values)]
        assert ((known >= 0) & (known <= 1)).all()
        assert ((boosted >= -1e-12) & (boosted <= 1 + 1e-12)).all()
        assert (np.abs(boosted - scores) <= said.shares.sum(axis=0) + 1e-9).all()


class TestRefusing:
    """Each refusal names the field and says what it may be."""

    @pytest.mark.parametrize(
        ("boosts", "field", "says"),
        [
            ([Recency(share=0.0, half_life_s=1)], "boosts.0.share", "above 0"),
            ([Recency(share=1.1, half_life_s=1)], "boosts.0.share", "at most 1"),
            ([Recency(share=0.1, half_life_s=0)], "boosts.0.half_life_s", "above 0"),
            ([Popularity(share=0.1), number(BoostShape.LOG, scale=-1)], "boosts.1.scale", "above 0"),
            ([number(BoostShape.LOG, scale=float("inf"))], "boosts.0.scale", "above 0"),
            ([number(BoostShape.LOG, origin=float("nan"))], "boosts.0.origin", "number"),
            ([Popularity(share=0.6), Recency(share=0.6, half_life_s=1)], "boosts", "lower them"),
            ([number(BoostShape.LOG), number(BoostShape.GAUSS)], "boosts", "number:price twice"),
        ],
    )
    def test_what_cannot_be_blended(self, boosts: list[Any], field: str, says: str) -> None:
        """Before anything is asked of the index."""
        with pytest.raises(RejectEvent, match=says) as caught:
            check_boosts(boosts)

        assert caught.value.field == field

    def test_shares_that_are_one_in_sum_are_allowed(self) -> None:
        """Whatever their sum is in binary."""
        check_boosts([number(BoostShape.LOG, share=0.1, attribute=f"a{place}") for place in range(10)])
