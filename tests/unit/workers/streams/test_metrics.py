"""Metrics keep the contract of names, units and closed label sets."""

import re

import pytest

from config.errors import Reason
from config.vocabulary import Modality, ModelRef, Role
from workers.streams.metrics import Metrics

PROMISED = {
    "events_total", "event_to_searchable_seconds", "query_seconds", "encode_seconds", "batch_size",
    "batch_wait_seconds", "queue_depth", "consumer_lag", "consumer_lag_seconds", "last_commit_timestamp_seconds",
    "dead_letters_total", "index_items", "shard_errors_total", "fusion_degraded_total", "device_memory_bytes",
    "build_info", "tagged_items_total", "tagged_too_late_total", "click_through_ratio", "reciprocal_rank",
}  # fmt: skip
LATER = {"recall_ratio"}


def names(metrics: Metrics) -> set[str]:
    """Names as the page lists them, without the prefix."""
    found = re.findall(r"^# TYPE crosscurrent_(\S+)", metrics.exposition().decode(), re.MULTILINE)
    return {name for name in found if not name.endswith("_created")}


def test_everything_promised_is_there() -> None:
    """The names of the design, no more and no less than it and what helps beside it."""
    assert names(Metrics(Role.CONTENT)) == PROMISED | {
        "dead_letters_unsent_total",
        "retries_total",
        "calibration_timestamp_seconds",
        "calibration_refreshes_total",
        "impressions_total",
        "clicks_total",
    }
    assert not LATER & names(Metrics(Role.CONTENT))


def test_counters_are_there_before_anything_happened() -> None:
    """A rate over a counter that has not moved is 0, not absent."""
    page = Metrics(Role.QUERIES).exposition().decode()

    for reason in Reason:
        assert f'crosscurrent_dead_letters_total{{reason="{reason}"}} 0.0' in page
    for modality in Modality:
        assert f'crosscurrent_encode_seconds_count{{modality="{modality}"}} 0.0' in page
    assert 'crosscurrent_events_total{outcome="error_result",role="queries"} 0.0' in page


@pytest.mark.parametrize(
    ("name", "objectives"),
    [("event_to_searchable_seconds", (0.25, 1.0, 4.0)), ('query_seconds_bucket{stage="total"', (0.05, 0.2))],
)
def test_edges_sit_on_the_objectives(name: str, objectives: tuple[float, ...]) -> None:
    """At the objective and at four times it, so that "how many met it" is exact."""
    page = Metrics(Role.CONTENT).exposition().decode()
    edges = re.findall(r'le="([0-9.]+)"', "".join(line for line in page.splitlines() if name[:13] in line))

    assert {str(objective) for objective in objectives} <= set(edges)


def test_an_unknown_outcome_is_a_defect() -> None:
    """Label sets are closed: a typo does not become a new series."""
    with pytest.raises(ValueError, match="doen"):
        Metrics(Role.CONTENT).ended("doen")


def test_two_workers_do_not_share_metrics() -> None:
    """Nothing is global."""
    one, two = Metrics(Role.CONTENT), Metrics(Role.CONTENT)
    one.dead_lettered(Reason.NOT_JSON)

    assert two.registry.get_sample_value("crosscurrent_dead_letters_total", {"reason": "not_json"}) == 0


def test_a_batch_of_the_device_is_noted() -> None:
    """Its size, the wait before it and its time, by modality."""
    metrics = Metrics(Role.CONTENT)
    metrics.observe(Modality.IMAGE, 8, 0.002, 0.03)

    read = metrics.registry.get_sample_value
    assert read("crosscurrent_batch_size_sum", {"modality": "image"}) == 8
    assert read("crosscurrent_batch_wait_seconds_sum") == 0.002
    assert read("crosscurrent_encode_seconds_sum", {"modality": "image"}) == 0.03


def test_it_says_what_runs() -> None:
    """Version and model, as labels of a constant one."""
    metrics = Metrics(Role.CONTENT)
    metrics.runs(ModelRef("builtin", "1"))

    assert re.search(r'build_info\{model="builtin@1",version="[^"]+"\} 1\.0', metrics.exposition().decode())
