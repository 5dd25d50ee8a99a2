"""Reading a worker's own pages: whether it is ready, its counters, and quantiles of its histograms."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from config.errors import CrosscurrentError

_TIMEOUT_S = 15.0  # a worker answers between two batches; a busy machine makes that seconds


class NoAnswerError(CrosscurrentError):
    """A worker's page does not answer."""


Buckets = Sequence[tuple[float, float]]
"""(upper edge, cumulative count), edges rising."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading of a ``/metrics`` page: every sample's name, labels and value."""

    samples: Sequence[tuple[str, Mapping[str, str], float]]

    @classmethod
    def parse(cls, text: str) -> "Scrape":
        """Read Prometheus' text format."""
        families = text_string_to_metric_families(text)
        return cls([(sample.name, sample.labels, sample.value) for family in families for sample in family.samples])

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name that have these labels."""
        return sum(value for found, has, value in self.samples if found == name and labels.items() <= has.items())

    def buckets(self, name: str, **labels: str) -> Buckets:
        """A histogram's buckets, added up over all labels not named."""
        counts: dict[float, float] = {}
        for found, has, value in self.samples:
            if found == f"{name}_bucket" and labels.items() <= has.items():
                edge = float(has["le"])
                counts[edge] = counts.get(edge, 0.0) + value
        return sorted(counts.items())


def fetch(url: str) -> Scrape:
    """Read a ``/metrics`` page.

    Raises:
        NoAnswerError: It does not answer.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own worker's address
            return Scrape.parse(answer.read().decode())
    except OSError as exc:
        raise NoAnswerError(f"{url} does not answer ({exc})") from exc


def is_ready(url: str) -> tuple[bool, Mapping[str, Any]]:
    """Whether a ``/ready`` page says yes, and what it waits for otherwise."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own worker's address
            return answer.status == 200, {}
    except urllib.error.HTTPError as exc:
        return False, json.loads(exc.read() or b"{}").get("waiting_for", {})
    except OSError:
        return False, {"address": "does not answer yet"}


def between(later: Buckets, earlier: Buckets) -> Buckets:
    """What a histogram gained between two readings."""
    before = dict(earlier)
    return [(edge, count - before.get(edge, 0.0)) for edge, count in later]


def quantile(buckets: Buckets, q: float) -> float | None:
    """The q-quantile, interpolated inside its bucket as Prometheus does it; None when nothing was counted.

    What lies beyond the last finite edge is given as that edge.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    wanted = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for edge, count in buckets:
        if count >= wanted:
            if math.isinf(edge):
                return lower
            return lower + (edge - lower) * (wanted - below) / (count - below) if count > below else edge
        lower, below = edge, count
    return lower


def milliseconds(buckets: Buckets, quantiles: Iterable[float] = (0.5, 0.99)) -> dict[str, float | None]:
    """Quantiles of a histogram in seconds, as ``{"p50": …, "p99": …}`` in milliseconds."""
    found = {f"p{q * 100:g}": quantile(buckets, q) for q in quantiles}
    return {name: None if value is None else round(value * 1000, 1) for name, value in found.items()}
