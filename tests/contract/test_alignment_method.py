"""What every alignment method must do, whichever it is."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures
from encoders.alignment.methods import Fitter, make_fitter
from encoders.alignment.options import FitOptions
from tests.unit.encoders.alignment.planted import planted, recall

QUICK = FitOptions(steps=60, batch_size=64, hidden=64, learning_rate=3e-3, warm_up_steps=5)
METHODS = {
    "least_squares": FitOptions(head="linear", solver="least_squares"),
    "procrustes": FitOptions(head="linear", solver="procrustes"),
    "cca": FitOptions(head="linear", solver="cca"),
    "linear": replace(QUICK, head="linear", dims=16),
    "adversarial": replace(QUICK, head="adversarial"),
    "network": replace(QUICK, head="network", dims=16),
    "network with sigmoid": replace(QUICK, head="network", dims=16, loss="sigmoid"),
    "network with hard negatives": replace(QUICK, head="network", dims=16, hardness=2.0),
    "network for codes": replace(QUICK, head="network", dims=16, binary=True),
}


@pytest.fixture(params=METHODS, ids=str)
def options(request: pytest.FixtureRequest) -> FitOptions:
    """Every method in turn."""
    return METHODS[request.param]


def run(fitter: Fitter, steps: int | None = None) -> Fitter:
    """Take steps until it is done, or so many."""
    while fitter.steps_done < (fitter.total_steps if steps is None else steps):
        fitter.step()
    return fitter


def test_items_it_never_saw_are_found(options: FitOptions) -> None:
    """Across every pair of modalities, with a quarter of pictures and sounds missing."""
    fitter = run(make_fitter(options, planted(300, missing=0.25, bend=0.1)))
    fresh = planted(100, seed=5, bend=0.1)
    for query, item in ((Modality.IMAGE, Modality.TEXT), (Modality.TEXT, Modality.AUDIO)):
        assert recall(fitter.heads(), fresh, query, item, k=5) > 0.5, "chance is 0.05"


def test_a_restored_fitter_goes_on_bit_for_bit(options: FitOptions) -> None:
    """Saved half-way with torch.save and loaded with weights only, it ends where the unbroken one does."""
    data = planted(100, missing=0.2)
    unbroken = run(make_fitter(options, data))
    half = run(make_fitter(options, data), unbroken.total_steps // 2)
    store = io.BytesIO()
    torch.save(half.state(), store)
    store.seek(0)
    resumed = make_fitter(options, data)
    resumed.restore(torch.load(store, weights_only=True))
    assert resumed.steps_done == half.steps_done
    run(resumed)
    for modality, head in unbroken.heads().items():
        other = resumed.heads()[modality].state_dict()
        assert all(torch.equal(value, other[name]) for name, value in head.state_dict().items())


def test_heads_given_out_do_not_change(options: FitOptions) -> None:
    """They are copies: training on does not reach what was taken before."""
    fitter = make_fitter(options, planted(60))
    taken = fitter.heads()
    before = {m: {k: v.clone() for k, v in head.state_dict().items()} for m, head in taken.items()}
    run(fitter)
    for modality, head in taken.items():
        assert not head.training
        assert all(torch.equal(value, before[modality][name]) for name, value in head.state_dict().items())


def test_one_modality_or_too_few_items_are_refused(options: FitOptions) -> None:
    """With what is missing."""
    few = planted(5)
    with pytest.raises(Misconfigured, match="items have"):
        make_fitter(options, few)
    alone = PairedFeatures(item_ids=few.item_ids, vectors={Modality.TEXT: few.vectors[Modality.TEXT]})
    with pytest.raises(Misconfigured, match="text alone: alignment needs two"):
        make_fitter(options, alone)


def test_everything_wrong_is_told_at_once() -> None:
    """Options are validated whole."""
    with pytest.raises(Misconfigured) as refused:
        FitOptions(head="magic", steps=0, batch_size=1, dims=1)  # type: ignore[arg-type]
    assert len(refused.value.problems) == 4
    with pytest.raises(Misconfigured, match="belongs to head linear"):
        FitOptions(head="network", solver="cca")
    with pytest.raises(Misconfigured, match="no item has audio"):
        make_fitter(FitOptions(anchor=Modality.AUDIO), _without_audio())


def test_a_network_bends_where_a_line_cannot() -> None:
    """On a bent relation the network beats the affine map it starts from."""
    train, fresh = planted(1000, bend=0.96, noise=0.01), planted(200, seed=5, bend=0.96, noise=0.01)
    longer = replace(QUICK, steps=200, hidden=128, dims=20, learning_rate=5e-3)
    made = {h: run(make_fitter(replace(longer, head=h), train)) for h in ("linear", "network")}
    scores = {head: recall(each.heads(), fresh, Modality.IMAGE, Modality.TEXT) for head, each in made.items()}
    assert scores["network"] > scores["linear"] + 0.15


def test_equal_texts_are_no_negatives() -> None:
    """Items with one text in common keep it: training does not push their pictures away from it."""
    data = planted(64)
    texts = data.vectors[Modality.TEXT].copy()
    texts[32:] = texts[:32]
    twins = PairedFeatures(item_ids=data.item_ids, vectors={**data.vectors, Modality.TEXT: texts})
    fitter = make_fitter(replace(QUICK, dims=16), twins)
    fitter.step()
    assert np.isfinite(fitter.step()["loss"])


def _without_audio() -> PairedFeatures:
    data = planted(40)
    return PairedFeatures(
        item_ids=data.item_ids, vectors={m: v for m, v in data.vectors.items() if m != Modality.AUDIO}
    )
