"""A run: it stops early, goes on after an interruption, and what it leaves can be loaded by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from config.errors import Misconfigured
from config.settings import ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders.alignment.closed_form import solve
from encoders.alignment.evaluate import mean_recall, score_pairs
from encoders.alignment.features import PairedFeatures
from encoders.alignment.federated import Site, average_weights, federate, site_options
from encoders.alignment.options import FitOptions
from encoders.alignment.record import load_record, locate
from encoders.alignment.run import CHECKPOINT, RunOptions, split, train
from encoders.alignment.tracking import METRICS
from encoders.identity import identify
from encoders.registry import load_encoders
from encoders.samples import sample_input
from tests.unit.encoders.alignment.planted import planted

BASE = ModelRef("planted", "1")
FIT = FitOptions(dims=16, hidden=32, steps=60, batch_size=64, learning_rate=3e-3, warm_up_steps=5)
OPTIONS = RunOptions(fit=FIT, name="mine", validate_every=10, patience=100)


class Killed(Exception):  # noqa: N818
    """What a kill is in these tests: no cleaning up of ours runs after it."""


def _logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def kill_at(step: int) -> object:
    """Return a listener that breaks off after a step."""

    def tell(done: int, total: int, best: float) -> None:
        if done == step:
            raise Killed

    return tell


def test_an_interrupted_run_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    """Heads, metrics and logs are the same but for the order in which a matrix product was summed.

    That order depends on where in memory a matrix happens to lie, so the last bits of two runs may differ.
    """
    data = planted(120)
    unbroken = train(data, BASE, OPTIONS, tmp_path / "unbroken")
    folder = tmp_path / "broken"
    for step in (13, 37):
        with pytest.raises(Killed):
            train(data, BASE, OPTIONS, folder, kill_at(step))  # type: ignore[arg-type]
        assert (folder / CHECKPOINT).exists()
    resumed = train(data, BASE, OPTIONS, folder)
    assert resumed.facts["best_step"] == unbroken.facts["best_step"]
    for modality in unbroken.files:
        ours, theirs = (load_file(one / f"{modality}.safetensors") for one in (folder, tmp_path / "unbroken"))
        assert ours.keys() == theirs.keys()
        for name, weights in ours.items():
            np.testing.assert_allclose(weights, theirs[name], atol=1e-4)
    lines, expected = (_logged(one) for one in (folder, tmp_path / "unbroken"))
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in expected], abs=1e-4)
    assert not (folder / CHECKPOINT).exists()


def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    """Neither an unfinished nor a finished run is overwritten by other options or items; the same again is a no-op."""
    data = planted(120)
    with pytest.raises(Killed):
        train(data, BASE, OPTIONS, tmp_path, kill_at(25))  # type: ignore[arg-type]
    other = replace(OPTIONS, fit=replace(FIT, seed=1))
    with pytest.raises(Misconfigured, match="unfinished run with other options or items"):
        train(data, BASE, other, tmp_path)
    done = train(data, BASE, OPTIONS, tmp_path)
    assert train(data, BASE, OPTIONS, tmp_path).files == done.files
    with pytest.raises(Misconfigured, match="result of a run with other options"):
        train(planted(121), BASE, OPTIONS, tmp_path)


def test_it_stops_when_it_gets_no_better(tmp_path: Path) -> None:
    """With patience 1 and a rate that ruins everything, the first heads are kept."""
    wild = replace(OPTIONS, patience=1, fit=replace(FIT, learning_rate=5.0, warm_up_steps=0, steps=500))
    done = train(planted(120), BASE, wild, tmp_path)
    assert done.facts["steps"] < 500
    assert done.facts["best_step"] == done.facts["steps"] - 10


def test_the_start_is_kept_where_nothing_is_better(tmp_path: Path) -> None:
    """A rate that ruins everything leaves the closed form that training starts from."""
    data = planted(120, noise=0.2)
    wild = replace(OPTIONS, patience=2, fit=replace(FIT, head="linear", learning_rate=5.0, warm_up_steps=0))
    done = train(data, BASE, wild, tmp_path)
    closed = solve(split(data, wild.validation_share)[0], Modality.TEXT, 16, "cca")
    assert done.facts["best_step"] == 0
    kept = load_file(tmp_path / "image.safetensors")["linear.weight"]
    np.testing.assert_allclose(kept, closed[Modality.IMAGE].linear.weight.detach().numpy(), atol=1e-6)


def test_an_item_is_always_on_the_same_side() -> None:
    """The split follows from ids alone, so items that are added later do not move others into validation wholesale."""
    small, large = planted(100), planted(200)
    kept = set(split(small, 0.1)[1].item_ids)
    assert len(kept) == 10
    again = set(split(small.take(np.arange(99, -1, -1)), 0.1)[1].item_ids)
    assert kept == again
    assert len(kept & set(split(large, 0.1)[1].item_ids)) >= 5
    with pytest.raises(Misconfigured, match="only 12 usable items"):
        split(planted(12), 0.1)


def test_second_views_align_a_single_modality(tmp_path: Path) -> None:
    """Pictures alone, each with a distorted view of itself: afterwards views find their pictures better than before."""
    plain = planted(300, noise=0.0).vectors[Modality.IMAGE]
    rng = np.random.default_rng(1)
    # The distortion lives in a few directions: what a head should learn to ignore.
    loud = rng.normal(size=(300, 4)) @ rng.normal(size=(4, plain.shape[1])) * 0.5
    views = (plain + loud) / np.linalg.norm(plain + loud, axis=1, keepdims=True)
    data = PairedFeatures(
        item_ids=tuple(map(str, range(300))),
        vectors={Modality.IMAGE: plain},
        views={Modality.IMAGE: views.astype(np.float32)},
    )
    done = train(data, BASE, replace(OPTIONS, fit=replace(FIT, steps=150)), tmp_path)
    assert set(done.files) == {Modality.IMAGE}


def test_federated_sites_come_within_two_points_of_pooled_training() -> None:
    """Three sites of different sizes, 900 items: recall at 10 on fresh items against one run over everything."""
    options = site_options(replace(FIT, hidden=64, batch_size=128), rounds=12, steps=10)
    parts = [planted(count, seed=seed, bend=0.5) for seed, count in ((1, 450), (2, 300), (3, 150))]
    together = federate([Site(str(n), options, part) for n, part in enumerate(parts)], rounds=12, steps=10)
    everything = PairedFeatures(
        item_ids=tuple(f"{n}-{i}" for n, part in enumerate(parts) for i in part.item_ids),
        vectors={m: np.concatenate([part.vectors[m] for part in parts]) for m in parts[0].modalities},
    )
    pooled_site = Site("all", options, everything)
    pooled = pooled_site.heads(pooled_site.learn(pooled_site.start(), 120))
    fresh = planted(300, seed=9, bend=0.5)
    recalls = [np.mean([s.recall_at_10 for s in score_pairs(h, fresh).values()]) for h in (together, pooled)]
    assert recalls[0] > recalls[1] - 0.02
    assert mean_recall(score_pairs(together, fresh)) > 0.3


def test_weights_are_averaged_by_items() -> None:
    """By hand: three items of one site count three times one of the other."""
    import torch

    mean = average_weights([{"w": torch.tensor([0.0])}, {"w": torch.tensor([4.0])}], [3, 1])
    assert mean["w"].tolist() == [1.0]


def test_sites_that_differ_or_stand_alone_are_refused() -> None:
    """With what to do."""
    options = site_options(FIT, 2, 2)
    one = Site("one", options, planted(40))
    with pytest.raises(Misconfigured, match="at least two sites"):
        federate([one], 1, 1)
    pair = planted(40)
    two = Site("two", options, PairedFeatures(item_ids=pair.item_ids, vectors=dict(list(pair.vectors.items())[:2])))
    with pytest.raises(Misconfigured, match="sites differ"):
        federate([one, two], 1, 1)
    with pytest.raises(Misconfigured, match="no rounds"):
        Site("three", FitOptions(head="adversarial"), planted(40))


def test_heads_are_loaded_by_name_and_make_a_space_of_their_own(tmp_path: Path) -> None:
    """After the deterministic encoders: identity, length, calibration and vectors are the heads'; others do not fit."""
    plain = load_encoders(ModelSettings(profile="deterministic"))
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, 60, plain.dims)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    data = PairedFeatures(
        item_ids=tuple(map(str, range(60))), vectors={Modality.TEXT: vectors[0], Modality.IMAGE: vectors[1]}
    )
    fit = FitOptions(head="linear", solver="cca", dims=24)
    done = train(data, plain.model, RunOptions(fit=fit, name="mine"), tmp_path / "mine")
    settings = ModelSettings(profile="deterministic", heads="mine", heads_dir=tmp_path)
    loaded = load_encoders(settings)
    assert loaded.model == done.model == identify(settings).model
    assert loaded.model != plain.model
    assert loaded.dims == identify(settings).dims == 24
    assert set(loaded.encoders) == {Modality.TEXT, Modality.IMAGE}
    assert loaded.calibration.keys() == done.calibration.keys()
    encoder = loaded.encoders[Modality.TEXT]
    row = encoder.finish(encoder.forward([encoder.prepare(sample_input(Modality.TEXT))]))
    assert row.shape == (1, 24)
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(Misconfigured, match="neither a folder of trained heads nor one under"):
        locate("other", tmp_path)
    record = tmp_path / "mine" / "alignment.json"
    record.write_text(record.read_text().replace('"base": "deterministic@1"', '"base": "other@3"'))
    with pytest.raises(Misconfigured, match="was trained on other@3"):
        load_encoders(settings)
    record.write_text("{")
    with pytest.raises(Misconfigured, match="damaged"):
        load_record(tmp_path / "mine")
