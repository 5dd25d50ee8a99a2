"""Every Prometheus object of a worker, in one table: names, units, closed label sets, edges on the objectives.

Everything is registered and zero-initialised at start, so that a rate over a counter that has not moved yet is 0 and
not absent. The registry is passed in: nothing is global, and two workers in one test do not meet.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from config.errors import Reason
from config.vocabulary import Modality, ModelRef, Role

NAMESPACE = "crosscurrent"

OUTCOMES = ("done", "stale", "duplicate", "error_result", "dead_letter")
"""How an event can end: the labels of ``events_total``."""

QUERY_STAGES = ("queue", "encode", "search", "fuse", "total")
"""Parts of a query's time; the keys of a result's ``timings_ms``."""

REFRESHES = ("replaced", "kept", "failed")
"""How a new measurement of the backgrounds can end."""

DEPTH_STAGES = ("delivery", "encode")
"""Where events and inputs wait: taken and not yet handled; prepared and not yet on the device."""

# Objectives: searchable within 0.25 s (text) and 1 s (media), a query within 0.05 s. An edge at each objective and at
# four times it makes "how many met it" exact instead of interpolated.
_SEARCHABLE_EDGES_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_QUERY_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
_ENCODE_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAIT_EDGES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_RECIPROCAL_EDGES = (0.02, 0.05, 0.1, 0.125, 0.2, 0.25, 1 / 3, 0.5, 1.0)
_SIZE_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """One worker's metrics.

    Args:
        role: Label of ``events_total``.
        registry: Where everything is registered; a fresh one when omitted.
    """

    def __init__(self, role: Role, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._role = role
        self._delivery()
        self._work()
        self._feedback()
        self._lag()
        self._zero()

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, edges: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(name, text, labels, namespace=NAMESPACE, registry=self.registry, buckets=edges)

    def _delivery(self) -> None:
        self.events = self._counter("events", "Events that ended, by how.", ("role", "outcome"))
        self.dead_letters = self._counter("dead_letters", "Events refused for ever, by why.", ("reason",))
        text = "Dead letters that their topic did not take: they are in the log alone."
        self.unsent_letters = self._counter("dead_letters_unsent", text, ("reason",))
        self.retries = self._counter("retries", "Pauses made because something needed was away.")
        self.queue_depth = self._gauge("queue_depth", "What waits, by where.", ("stage",))

    def _work(self) -> None:
        text = "From the content event's record time to its vectors being searchable."
        self.event_to_searchable = self._histogram("event_to_searchable_seconds", text, _SEARCHABLE_EDGES_S)
        self.query_seconds = self._histogram("query_seconds", "Time of a query by stage.", _QUERY_EDGES_S, ("stage",))
        text = "Time of one batch on the device, with bringing its vectors back."
        self.encode_seconds = self._histogram("encode_seconds", text, _ENCODE_EDGES_S, ("modality",))
        self.batch_size = self._histogram("batch_size", "Inputs in a forward pass.", _SIZE_EDGES, ("modality",))
        self.batch_wait = self._histogram(
            "batch_wait_seconds", "How long an input waited for the device.", _WAIT_EDGES_S
        )
        self.index_items = self._gauge("index_items", "Items in the index that have this modality.", ("modality",))
        self.shard_errors = self._counter("shard_errors", "Shards that did not answer a search.")
        self.fusion_degraded = self._counter("fusion_degraded", "Queries answered without something they asked for.")
        self.tagged_items = self._counter("tagged_items", "Items counted under a label.", ("set", "label"))
        self.tagged_too_late = self._counter("tagged_too_late", "Items whose window of counts was closed.")
        text = "When the backgrounds that count were last measured, as Unix time; 0 for those of the model."
        self.calibration_timestamp = self._gauge("calibration_timestamp_seconds", text)
        text = "New measurements of the backgrounds, by how they ended."
        self.calibration_refreshes = self._counter("calibration_refreshes", text, ("outcome",))
        self.device_memory = self._gauge("device_memory_bytes", "Memory that the model holds on the accelerator.")
        self.build_info = self._gauge("build_info", "Always 1: what runs here.", ("version", "model"))

    def _feedback(self) -> None:
        self.impressions = self._counter("impressions", "Hits that users are known to have seen.")
        self.clicks = self._counter("clicks", "Hits that users clicked, liked, shared or bought.")
        text = "Clicks by hits seen; one of an hour ago counts half."
        self.click_through = self._gauge("click_through_ratio", text)
        text = "One over the rank of an answer's first click; its mean is the mean reciprocal rank."
        self.reciprocal_rank = self._histogram("reciprocal_rank", text, _RECIPROCAL_EDGES)

    def _lag(self) -> None:
        self.consumer_lag = self._gauge("consumer_lag", "Events not yet finished.", ("topic", "partition"))
        self.consumer_lag_seconds = self._gauge("consumer_lag_seconds", "Age of the oldest event not yet finished.")
        text = "Unix time of the last committed offset; 0 before the first."
        self.last_commit = self._gauge("last_commit_timestamp_seconds", text)

    def _zero(self) -> None:
        for outcome in OUTCOMES:
            self.events.labels(self._role, outcome)
        for reason in Reason:
            self.dead_letters.labels(reason)
            self.unsent_letters.labels(reason)
        for stage in DEPTH_STAGES:
            self.queue_depth.labels(stage)
        for stage in QUERY_STAGES:
            self.query_seconds.labels(stage)
        for outcome in REFRESHES:
            self.calibration_refreshes.labels(outcome)
        for modality in Modality:
            self.encode_seconds.labels(modality)
            self.batch_size.labels(modality)
            self.index_items.labels(modality)

    def ended(self, label: str) -> None:
        """Count an event that took effect.

        Raises:
            ValueError: The label is not of the closed set.
        """
        if label not in OUTCOMES:
            msg = f"{label!r} is no outcome: it is one of {', '.join(OUTCOMES)}"
            raise ValueError(msg)
        self.events.labels(self._role, label).inc()

    def dead_lettered(self, reason: Reason) -> None:
        """Count an event that was refused for ever."""
        self.events.labels(self._role, "dead_letter").inc()
        self.dead_letters.labels(reason).inc()

    def unsent(self, reason: Reason) -> None:
        """Count a dead letter that only the log tells of."""
        self.unsent_letters.labels(reason).inc()

    def observe(self, modality: Modality, size: int, wait_s: float, encode_s: float) -> None:
        """Note a batch of the device; this makes it a ``BatchObserver``."""
        self.batch_size.labels(modality).observe(size)
        self.batch_wait.observe(wait_s)
        self.encode_seconds.labels(modality).observe(encode_s)

    def runs(self, model: ModelRef | None) -> None:
        """Say what runs here; a worker that embeds nothing has no model."""
        self.build_info.labels(package_version(), str(model) if model else "").set(1)

    def tags_with(self, sets: Mapping[str, Iterable[str]]) -> None:
        """Start every label of every set at 0; what the sender writes beside them is never counted."""
        for name, labels in sets.items():
            for label in labels:
                self.tagged_items.labels(name, label)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


def package_version() -> str:
    """Version of the installed package; ``unknown`` when run from a bare checkout."""
    try:
        return version("crosscurrent")
    except PackageNotFoundError:
        return "unknown"
