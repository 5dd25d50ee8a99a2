"""Backgrounds are measured over things that do not match, and over nothing else."""

import numpy as np
import pytest

from encoders.builtin.evaluate import TEXT_TO_IMAGE, report_table
from encoders.builtin.training.calibrate import Sample, background


def test_background_leaves_out_what_matches() -> None:
    """Mean and deviation are those of all pairs of different rows, counted one by one."""
    rng = np.random.default_rng(0)
    queries, items = (rng.standard_normal((30, 8)).astype(np.float32) for _ in range(2))
    items += 5 * queries  # a strong match on the diagonal must not count

    owners = np.array([str(number) for number in range(30)])
    measured = background(Sample(owners, queries), Sample(owners, items))

    cosines = [float(queries[q] @ items[i]) for q in range(30) for i in range(30) if q != i]
    assert measured.mean == pytest.approx(np.mean(cosines), abs=1e-5)
    assert measured.std == pytest.approx(np.std(cosines), rel=1e-5)


def test_a_report_says_which_artists_were_trained_on() -> None:
    """Each artist and the mean have a row a task, and a set that training saw is marked as such."""
    score = {
        **dict.fromkeys(("queries", "items"), 10),
        **dict.fromkeys(("recall_at_1", "recall_at_5", "recall_at_10"), 0.5),
        "median_rank": 3.0,
        "mean_reciprocal_rank": 0.4,
    }
    tasks = {TEXT_TO_IMAGE: score}
    report = {"model": "builtin@1", "held_out": ["a"], "vendors": {"a": tasks, "b": tasks}, "mean": tasks}

    table = report_table(report)

    assert list(table.columns[0].cells) == ["a", "b (trained on)", "mean"]
    assert list(table.columns[5].cells) == ["0.500"] * 3
