"""Quantiles from Prometheus histograms, as Prometheus computes them."""

import random

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from workers.operate.scrape import Scrape, between, milliseconds, quantile

EDGES = (0.1, 0.2, 0.4, 0.8)


def page(values: list[float], stage: str = "total") -> Scrape:
    """A metrics page with a histogram and a counter."""
    registry = CollectorRegistry()
    histogram = Histogram("q_seconds", "x", ("stage",), registry=registry, buckets=EDGES)
    events = Counter("events", "x", ("role", "outcome"), registry=registry)
    for value in values:
        histogram.labels(stage).observe(value)
        events.labels("content", "done").inc()
    events.labels("content", "stale").inc(2)
    return Scrape.parse(generate_latest(registry).decode())


def test_totals_add_up_over_the_labels_not_named() -> None:
    """Counters by label, and together."""
    scrape = page([0.1, 0.2, 0.3])
    assert scrape.total("events_total", outcome="done") == 3
    assert scrape.total("events_total") == 5
    assert scrape.total("events_total", outcome="none") == 0


def test_quantiles_lie_in_the_right_bucket() -> None:
    """Interpolated quantiles differ from the true ones by at most a bucket."""
    chance = random.Random(3)
    values = [chance.uniform(0, 0.8) for _ in range(2000)]
    buckets = page(values).buckets("q_seconds", stage="total")
    for q in (0.1, 0.5, 0.9, 0.99):
        assert quantile(buckets, q) == pytest.approx(sorted(values)[int(q * 2000)], abs=0.03)


def test_nothing_counted_is_not_zero() -> None:
    """An empty histogram has no quantile."""
    assert quantile(page([]).buckets("q_seconds", stage="total"), 0.5) is None
    assert quantile([], 0.5) is None
    assert milliseconds([]) == {"p50": None, "p99": None}


def test_what_lies_beyond_the_last_edge_is_that_edge() -> None:
    """As in Prometheus: the histogram cannot tell more."""
    assert quantile(page([5.0, 6.0]).buckets("q_seconds"), 0.5) == 0.8


def test_the_difference_of_two_readings_counts_only_what_came_between() -> None:
    """A backlog before the measurement does not spoil it."""
    before = page([0.7] * 50).buckets("q_seconds")
    after = page([0.7] * 50 + [0.05] * 10).buckets("q_seconds")
    assert milliseconds(between(after, before)) == {"p50": 50.0, "p99": 99.0}
