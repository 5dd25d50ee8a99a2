"""How attention falls with the place, harvested from clicks."""

import numpy as np
import pytest

from config.errors import Misconfigured
from fusion.learning.propensity import LOWEST, STEEPEST, Propensity, Shown, estimate_propensity


def clicked_lists(eta: float, *, queries: int = 300, places: int = 10, often: int = 20, seed: int = 0) -> list[Shown]:
    """Each query shows its items in changing orders; some are relevant, and clicked when looked at."""
    rng = np.random.default_rng(seed)
    looked_at = np.arange(1, places + 1, dtype=np.float64) ** -eta
    found = []
    for query in range(queries):
        relevance = rng.random(places) * 0.6
        for _ in range(often):
            order = rng.permutation(places)
            clicks = rng.random(places) < looked_at * relevance[order]
            found += [Shown(f"{query} {item}", place + 1, bool(clicks[place])) for place, item in enumerate(order)]
    return found


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 2.0])
def test_the_planted_exponent_is_found(eta: float) -> None:
    """Within three standard errors, which are small, whatever is relevant."""
    found = estimate_propensity(clicked_lists(eta))

    assert found.error < 0.05
    assert found.eta == pytest.approx(eta, abs=max(3 * found.error, 0.02))


def test_what_ranks_high_because_it_is_good_does_not_count_as_bias() -> None:
    """Better items stand higher in most lists; a naive rate by place would double the exponent."""
    rng = np.random.default_rng(1)
    found = []
    for query in range(400):
        relevance = rng.random(8) * 0.6
        for _ in range(12):
            order = np.argsort(-(relevance + 0.15 * rng.standard_normal(8)))
            clicks = rng.random(8) < np.arange(1, 9) ** -0.7 * relevance[order]
            found += [Shown(f"{query} {item}", place + 1, bool(clicks[place])) for place, item in enumerate(order)]

    assert estimate_propensity(found).eta == pytest.approx(0.7, abs=0.12)


def test_clicks_that_cannot_tell_are_refused() -> None:
    """Nothing was shown at two places: relevance and attention cannot be told apart."""
    shown = [Shown(f"q {place}", place, place == 1) for place in range(1, 11)]

    with pytest.raises(Misconfigured, match="--eta"):
        estimate_propensity(shown)


def test_a_log_of_another_kind_is_refused() -> None:
    """Nobody ever clicks below the first place."""
    shown = [Shown("q a", 1, True), Shown("q a", 2, False)] * 400

    with pytest.raises(Misconfigured, match=f"{STEEPEST:g}"):
        estimate_propensity(shown)


def test_no_click_counts_without_bound() -> None:
    """Propensities fall to a floor and no further."""
    found = Propensity(eta=2.0).of(np.array([1, 2, 1000]))

    assert found.tolist() == [1.0, 0.25, LOWEST]
