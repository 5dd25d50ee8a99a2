"""The speech head learns, and its loss does not punish what is right."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional

from encoders.builtin.training import speech_stage
from encoders.builtin.training.speech_augment import augment
from encoders.builtin.training.speech_features import SpokenFeatures, join_features
from encoders.builtin.training.speech_phrases import NOT_A_CONCEPT
from encoders.builtin.training.speech_stage import Targets, fit_head, speech_loss

PHRASES = 12


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train in one thread: such small matrices gain nothing from two, and on a busy machine two wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_targets(dims: int = 16) -> Targets:
    """Return targets of twelve phrases: the first eight name concepts, two of them the same one."""
    torch.manual_seed(1)
    values = functional.normalize(torch.randn(PHRASES, dims), dim=1)
    values[7] = values[0]
    return Targets(values=values, concepts=torch.tensor([0, 1, 2, 3, 4, 5, 6, 0] + [NOT_A_CONCEPT] * 4))


def spoken_noise(takes: int) -> SpokenFeatures:
    """Return utterances of different lengths: each phrase is a fixed random sequence, said with noise."""
    rng = np.random.default_rng(0)
    patterns = [rng.standard_normal((int(rng.integers(4, 12)), 96)) for _ in range(PHRASES)]
    phrases = np.tile(np.arange(PHRASES), takes)
    sequences = [patterns[p] + 0.3 * rng.standard_normal(patterns[p].shape) for p in phrases]
    return SpokenFeatures(
        values=np.concatenate(sequences).astype(np.float16),
        starts=np.concatenate(([0], np.cumsum([len(one) for one in sequences]))),
        phrases=phrases,
    )


def test_the_head_learns_to_tell_phrases_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few passes, utterances never heard find their own text first; the same seed gives the same head."""
    monkeypatch.setattr(speech_stage, "BATCH", 24)
    targets = random_targets()
    spoken, fresh = spoken_noise(takes=40), spoken_noise(takes=2)

    head = fit_head(spoken, targets, seed=3, epochs=6)
    again = fit_head(spoken, targets, seed=3, epochs=6)

    with torch.inference_mode():
        vectors = head(*fresh.pad(np.arange(len(fresh))))
        repeated = again(*fresh.pad(np.arange(len(fresh))))
    found = (vectors @ targets.values.T).argmax(dim=1).numpy()
    right = (found == fresh.phrases) | (np.isin(found, (0, 7)) & np.isin(fresh.phrases, (0, 7)))  # one concept
    assert right.mean() > 0.9
    assert torch.equal(vectors, repeated)


def test_another_name_of_the_same_concept_is_no_mistake() -> None:
    """Fitting the concept's other name costs nothing; fitting another concept's, or a keyword, does."""
    concepts = random_targets().concepts
    said = torch.tensor([0, 8])
    none = torch.zeros(2, PHRASES)
    twin, other = none.clone(), none.clone()
    twin[0, 7] = 1.0
    other[0, 1] = 1.0
    keyword = none.clone()
    keyword[1, 9] = 1.0  # two phrases that are no concepts are no twins

    loss = speech_loss(none, said, concepts)

    assert torch.equal(speech_loss(twin, said, concepts), loss)
    assert speech_loss(other, said, concepts) > loss
    assert speech_loss(keyword, said, concepts) > loss


def test_joined_features_keep_their_sequences() -> None:
    """Two sets behind one another read as they did apart."""
    first, second = spoken_noise(takes=1), spoken_noise(takes=2)

    joined = join_features([first, second])

    features, steps = joined.pad(np.array([PHRASES + 5]))
    wanted, _ = second.pad(np.array([5]))
    assert len(joined) == 3 * PHRASES
    assert torch.equal(features, wanted)
    assert int(steps[0]) == wanted.shape[1]


@pytest.mark.parametrize("seed", range(8))
def test_augmented_speech_stays_a_sound(seed: int) -> None:
    """Whatever is drawn, samples stay finite float32, not silent, and at least as long as before."""
    samples = np.sin(np.arange(8_000) / 10).astype(np.float32)

    heard = augment(samples, np.random.default_rng(seed))

    assert heard.dtype == np.float32
    assert len(heard) >= len(samples)
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() > 0.05
