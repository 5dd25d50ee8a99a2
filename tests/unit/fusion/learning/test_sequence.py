"""The sequence model: learns an order, runs in numpy as in torch, survives a kill, and refuses what does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from config.errors import Misconfigured
from config.vocabulary import ModelRef
from fusion.learning.sequence import RECORD, SequenceNetwork, SequenceShape
from fusion.learning.sequence_data import Acts, acts_of, split_windows
from fusion.learning.sequence_network import TrainedNetwork
from fusion.learning.sequence_training import CHECKPOINT, SequenceOptions, train_sequence
from tests.fusion_builders import unit

DIMS, ITEMS = 16, 40
SMALL = SequenceOptions(
    width=16, layers=1, length=8, epochs=40, patience=40, batch=16, learning_rate=1e-2, dropout=0.0, seed=1
)
MODEL = ModelRef("test", "1")


def circle(users: int = 120, steps: int = 8) -> Acts:
    """Everybody goes round the items, each from a place of their own: what follows is known from the last."""
    rows = [
        (f"u{user}", f"i{(user + step) % ITEMS:02}", user * 7 + step * 1000, True)
        for user in range(users)
        for step in range(steps)
    ]
    return acts_of(rows, {f"i{item:02}": unit(item, DIMS) for item in range(ITEMS)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that learnt the circle."""
    folder = tmp_path_factory.mktemp("trained")
    train_sequence(circle(), SMALL, folder, model=MODEL)
    return folder


def test_it_learns_what_follows(trained: Path) -> None:
    """The next on the circle is the likeliest of all items, after any of them."""
    network = SequenceNetwork.load(trained)
    vectors = np.stack([unit(item, DIMS) for item in range(ITEMS)])
    for last in range(ITEMS):
        read = [vectors[(last - 2) % ITEMS], vectors[(last - 1) % ITEMS], vectors[last]]
        logits = vectors @ network.next_direction(read, [True] * 3)
        assert int(np.argmax(logits)) == (last + 1) % ITEMS
    assert network.model == MODEL
    assert (trained / "MODEL_CARD.md").read_text().startswith("# Sequence model")


def test_an_item_never_seen_is_expected_for_its_content(trained: Path) -> None:
    """A twin of the next item, unknown while it was trained, is as likely as that."""
    network = SequenceNetwork.load(trained)
    twin = unit(6, DIMS) + 0.1 * unit(99, DIMS)
    twin /= np.linalg.norm(twin)
    direction = network.next_direction([unit(4, DIMS), unit(5, DIMS)], [True, True])
    others = [float(unit(item, DIMS) @ direction) for item in range(ITEMS) if item != 6]
    assert float(twin @ direction) > max(others)


@pytest.mark.parametrize("count", [1, 3, 7, 20])
def test_numpy_does_what_torch_does(count: int) -> None:
    """Any number of items up to the length, and the last of more."""
    torch.manual_seed(count)
    shape = SequenceShape(dims=DIMS, width=24, layers=2, heads=3, length=7)
    network = TrainedNetwork(shape, dropout=0.5).eval()
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    items = [unit(place, DIMS) for place in range(count)]
    liked = [place % 3 != 0 for place in range(count)]

    ours = SequenceNetwork(shape, weights).next_direction(items, liked)

    batch = torch.from_numpy(np.stack(items[-7:]))[None]
    with torch.inference_mode():
        theirs = network(batch, torch.tensor(liked[-7:]).long()[None])[0, -1].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """From the checkpoint of its last pass, bit for bit; then the checkpoint is gone."""
    options = SequenceOptions(width=16, layers=1, length=8, epochs=4, batch=16, seed=5)
    train_sequence(circle(), options, tmp_path / "whole")

    def die(done: int, most: int, best: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sequence(circle(), options, tmp_path / "killed", tell=die)
    assert (tmp_path / "killed" / CHECKPOINT).exists()
    train_sequence(circle(), options, tmp_path / "killed")

    assert not (tmp_path / "killed" / CHECKPOINT).exists()
    for name in (RECORD, "sequence.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_a_checkpoint_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    """Other options, other data: the message says what to do."""
    options = SequenceOptions(width=16, layers=1, length=8, epochs=2, batch=16)

    def die(done: int, most: int, best: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sequence(circle(), options, tmp_path, tell=die)
    with pytest.raises(Misconfigured, match="another --out"):
        train_sequence(circle(users=130), options, tmp_path)


def test_nothing_after_the_moment_is_trained_on() -> None:
    """One moment for all users; validation reads what came before it and foretells only what came after."""
    acts = circle()
    training, validation = split_windows(acts, 8, 0.2)
    moment = acts.times_ms[int(0.8 * len(acts.times_ms))]
    before, after = (acts.times_ms < moment).sum(), (acts.times_ms >= moment).sum()
    starts = len(np.unique(acts.users))
    assert (training.targets >= 0).sum() == before - starts
    assert (validation.targets >= 0).sum() == after


def test_what_was_not_liked_is_read_and_not_foretold() -> None:
    """A window's target is -1 where the next was not liked, and the item itself is marked."""
    rows = [(f"u{user}", f"i{step}", step * 1000 + user, step != 2) for user in range(30) for step in range(5)]
    acts = acts_of(rows, {f"i{item}": unit(item, DIMS) for item in range(5)})
    training, _ = split_windows(acts, 8, 0.1)
    assert training.targets[0, :4].tolist() == [1, -1, 3, 4]
    assert training.liked[0, :4].tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("rows", "said"), [([("u", "i1", 1, True)], "sequences"), ([("u", "unknown", 1, True)], "has a vector")]
)
def test_too_little_to_learn_from_is_refused(tmp_path: Path, rows: list[tuple[str, str, int, bool]], said: str) -> None:
    """Rather than a model of nothing."""
    with pytest.raises(Misconfigured, match=said):
        train_sequence(acts_of(rows, {"i1": unit(1, DIMS)}), SMALL, tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """With the command that makes one."""
    with pytest.raises(Misconfigured, match="crosscurrent train sequence"):
        SequenceNetwork.load(tmp_path)
