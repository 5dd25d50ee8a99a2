"""The drawing stage: how pictures are distorted, what the loss rewards, what a step draws, and how a run continues."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from encoders.builtin.training.augment import augment, composite
from encoders.builtin.training.checkpoint import resume, save_checkpoint
from encoders.builtin.training.contrast import alignment_loss, recall_at
from encoders.builtin.training.drawing_data import QUEUE_BATCHES, Drawings, Queue
from encoders.builtin.training.drawing_model import BATCH
from encoders.builtin.training.image_stage import WARM_UP_STEPS, _rate

NO_QUEUE = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))


def _loss(
    images: torch.Tensor, texts: torch.Tensor, rows: list[int], queue: tuple[torch.Tensor, torch.Tensor]
) -> float:
    loss = alignment_loss(
        images=images,
        concepts=torch.arange(len(images)),
        texts=texts,
        text_rows=torch.tensor(rows),
        queue=queue[0],
        queue_concepts=queue[1],
        scale=torch.tensor(10.0),
    )
    return float(loss)


def test_the_loss_is_low_for_pairs_that_match() -> None:
    """Pictures that lie on their own texts cost nearly nothing, on each other's texts a lot."""
    texts = torch.eye(4)
    assert _loss(texts, texts, [0, 1, 2, 3], NO_QUEUE) < 0.01
    assert _loss(texts.flip(0), texts, [0, 1, 2, 3], NO_QUEUE) > 5.0


def test_a_shared_keyword_is_no_mistake() -> None:
    """Two concepts with the same text are not told apart by it, so their being alike costs nothing."""
    texts = torch.eye(4)
    texts[1] = texts[0]
    assert _loss(texts, texts, [0, 0, 2, 3], NO_QUEUE) < 0.01
    assert _loss(texts, texts, [0, 1, 2, 3], NO_QUEUE) > 0.3


def test_the_queue_adds_negatives_but_not_of_the_same_concept() -> None:
    """An earlier picture on a text's place costs, unless it shows that text's concept."""
    texts = torch.eye(4)
    stranger = (texts[:1], torch.tensor([3]))
    own = (texts[:1], torch.tensor([0]))
    assert _loss(texts, texts, [0, 1, 2, 3], stranger) > 10 * _loss(texts, texts, [0, 1, 2, 3], own)


def test_recall_counts_places() -> None:
    """The share of queries whose answer is among the nearest k."""
    gallery = torch.eye(3)
    queries = functional.normalize(torch.tensor([[1.0, 0, 0], [0.9, 0.5, 0], [0.9, 0.6, 0.5]]), dim=1)
    found = recall_at(queries, gallery, ranks=(1, 2, 3))
    assert found == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})


def test_a_batch_holds_each_concept_once_and_all_equally_often() -> None:
    """A concept drawn by ten artists comes as often as one drawn by one."""
    concepts = np.array([5] * 10 + [7, 9])
    drawings = Drawings(np.arange(12, dtype=np.float16)[:, None], concepts)
    rng = np.random.default_rng(0)
    seen = {5: 0, 7: 0, 9: 0}
    for _ in range(300):
        rows, chosen = drawings.sample(2, rng)
        assert len(set(chosen)) == 2
        assert [concepts[int(row)] for row in rows[:, 0]] == list(chosen)
        for concept in chosen:
            seen[int(concept)] += 1
    assert max(seen.values()) < 1.3 * min(seen.values())


def test_the_queue_forgets_the_oldest() -> None:
    """The queue holds the latest batches only, without gradients."""
    queue = Queue()
    for batch in range(QUEUE_BATCHES + 2):
        vectors = torch.zeros(BATCH, queue.vectors.shape[1], requires_grad=True)
        queue.push(vectors, torch.full((BATCH,), batch))
    assert len(queue.vectors) == QUEUE_BATCHES * BATCH
    assert set(queue.concepts.tolist()) == set(range(2, QUEUE_BATCHES + 2))
    assert not queue.vectors.requires_grad


def test_the_rate_warms_up_stays_and_falls() -> None:
    """The learning rate rises over the first steps, is constant, and ends near zero."""
    rates = [_rate(step, 1000) for step in range(1000)]
    assert rates[0] < 0.1
    assert set(rates[WARM_UP_STEPS:700]) == {1.0}
    assert rates[-1] == pytest.approx(0.02)


def test_a_run_continues_where_it_was(tmp_path: Path) -> None:
    """A checkpoint brings back weights, averages and the optimiser's state; none means the first step."""
    torch.manual_seed(0)
    path = tmp_path / "deep" / "tail.pt"
    model, averaged = nn.Linear(2, 2), nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(model.parameters())
    assert resume(path, model, averaged, optimiser) == 0
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    save_checkpoint(path, model, averaged, optimiser, step=7)
    other, other_averaged = nn.Linear(2, 2), nn.Linear(2, 2)
    other_optimiser = torch.optim.AdamW(other.parameters())
    assert resume(path, other, other_averaged, other_optimiser) == 7
    torch.testing.assert_close(other.state_dict(), model.state_dict())
    torch.testing.assert_close(other_averaged.state_dict(), averaged.state_dict())
    assert len(other_optimiser.state_dict()["state"]) == 2
    assert [file.name for file in path.parent.iterdir()] == ["tail.pt"]


def _disc() -> np.ndarray:
    rows, columns = np.mgrid[:128, :128]
    pixels = np.zeros((128, 128, 4), np.uint8)
    pixels[(rows - 64) ** 2 + (columns - 64) ** 2 < 40**2] = (220, 30, 30, 255)
    return pixels


def test_augmentation_is_chance_from_the_seed_alone() -> None:
    """The same state gives the same picture, another state another."""
    first, same, other = (augment(_disc(), np.random.default_rng(seed), keep_hues=False) for seed in (1, 1, 2))
    assert first.shape == (128, 128, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_hues_are_kept_where_they_are_the_meaning() -> None:
    """A red heart stays red, but for the one picture in ten that is lines alone; otherwise hues change more often."""

    def reddest(*, keep_hues: bool) -> int:
        middles = [
            augment(_disc(), np.random.default_rng(seed), keep_hues=keep_hues)[60:68, 60:68].mean(axis=(0, 1))
            for seed in range(100)
        ]
        return sum(bool(middle[0] > middle[1:].max()) for middle in middles)

    assert reddest(keep_hues=True) >= 90
    assert reddest(keep_hues=False) < 85


def test_transparency_shows_the_ground() -> None:
    """A rendering on a colour keeps its own pixels and shows the colour elsewhere."""
    picture = np.asarray(composite(_disc(), (0, 0, 255)))
    assert tuple(picture[0, 0]) == (0, 0, 255)
    assert tuple(picture[64, 64]) == (220, 30, 30)
