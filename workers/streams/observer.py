"""What handlers tell the outside about their work, without knowing Prometheus."""

from collections.abc import Mapping
from typing import Protocol

from workers.streams.metrics import Metrics


class Observer(Protocol):
    """Told what handlers measure. Called on the event loop; must return at once and never raise."""

    def searchable(self, seconds: float) -> None:
        """An item became searchable this long after its record's timestamp."""
        ...

    def answered(self, seconds: Mapping[str, float]) -> None:
        """A query was answered; its time by stage (``queue``, ``encode``, ``search``, ``fuse``, ``total``)."""
        ...

    def shards_failed(self, count: int) -> None:
        """So many shards did not answer a search."""
        ...

    def degraded(self) -> None:
        """A query was answered without something it asked for."""
        ...

    def tagged(self, label_set: str, label: str) -> None:
        """An item was counted under a label."""
        ...

    def tagged_too_late(self) -> None:
        """An item came when its window was closed, and was not counted."""
        ...


class Unobserved:
    """Tells nobody."""

    def searchable(self, seconds: float) -> None:
        """Pass over it."""

    def answered(self, seconds: Mapping[str, float]) -> None:
        """Pass over it."""

    def shards_failed(self, count: int) -> None:
        """Pass over it."""

    def degraded(self) -> None:
        """Pass over it."""

    def tagged(self, label_set: str, label: str) -> None:
        """Pass over it."""

    def tagged_too_late(self) -> None:
        """Pass over it."""


class MetricsObserver:
    """Tells a worker's Prometheus metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def searchable(self, seconds: float) -> None:
        """Observe ``event_to_searchable_seconds``."""
        self._metrics.event_to_searchable.observe(max(0.0, seconds))

    def answered(self, seconds: Mapping[str, float]) -> None:
        """Observe ``query_seconds`` of each stage."""
        for stage, spent in seconds.items():
            self._metrics.query_seconds.labels(stage).observe(max(0.0, spent))

    def shards_failed(self, count: int) -> None:
        """Count ``shard_errors_total``."""
        self._metrics.shard_errors.inc(count)

    def degraded(self) -> None:
        """Count ``fusion_degraded_total``."""
        self._metrics.fusion_degraded.inc()

    def tagged(self, label_set: str, label: str) -> None:
        """Count ``tagged_items_total``."""
        self._metrics.tagged_items.labels(label_set, label).inc()

    def tagged_too_late(self) -> None:
        """Count ``tagged_too_late_total``."""
        self._metrics.tagged_too_late.inc()
