"""Spoken phrases as the backbone's features, computed once and cached: the head trains on nothing else."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from encoders.builtin.speech import MelFrontEnd, SpeechBackbone, cut_windows
from encoders.builtin.training.speech_augment import Samples, augment, through_telephone
from encoders.builtin.training.speech_engines import Utterance, speak
from encoders.progress import track

BATCH: Final = 32
SHARD: Final = 2_048  # utterances between two writes: an interrupted run goes on from there
VERSION: Final = 2  # of the augmentation and the front end: raise it to make old caches invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenFeatures:
    """Feature sequences of many utterances, one behind the other.

    Attributes:
        values: (total steps, 96) float16.
        starts: (n + 1,) int64, first step of each utterance and the end of the last.
        phrases: (n,) int64, which phrase each utterance says.
    """

    values: NDArray[np.float16]
    starts: NDArray[np.int64]
    phrases: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.phrases)

    def pad(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the utterances in ``rows`` as features (n, steps, 96) float32 and their true steps (n,)."""
        sequences = [torch.from_numpy(self.values[self.starts[row] : self.starts[row + 1]]) for row in rows]
        steps = torch.tensor([len(sequence) for sequence in sequences])
        return nn.utils.rnn.pad_sequence(sequences, batch_first=True).float(), steps


def spoken_features(
    utterances: Sequence[Utterance],
    phrases: Sequence[int],
    networks: tuple[MelFrontEnd, SpeechBackbone],
    *,
    cache: Path,
    seed: int,
    augmented: bool = False,
    telephone: bool = False,
    label: str,
) -> SpokenFeatures:
    """Say every utterance, augment it, and return the backbone's features; shards come from ``cache`` if they can.

    Args:
        utterances: What to say and how.
        phrases: Which phrase each utterance says.
        networks: Front end and backbone.
        cache: Folder for the shards; one is found again by a hash of its utterances and the seed.
        seed: Draws the augmentation.
        augmented: Whether to augment, for training.
        telephone: Whether to hear it through a telephone, for measuring.
        label: Name on the progress bar.

    Raises:
        Misconfigured: A speaking program is missing.
    """
    cache.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(utterances), SHARD)
    shards = [
        _shard(utterances[start : start + SHARD], networks, cache=cache, seed=seed, way=(augmented, telephone))
        for start in track(starts, label)
    ]
    lengths = np.concatenate([shard["lengths"] for shard in shards])
    return SpokenFeatures(
        values=np.concatenate([shard["values"] for shard in shards]),
        starts=np.concatenate(([0], np.cumsum(lengths))),
        phrases=np.array(phrases, np.int64),
    )


def _shard(
    utterances: Sequence[Utterance],
    networks: tuple[MelFrontEnd, SpeechBackbone],
    *,
    cache: Path,
    seed: int,
    way: tuple[bool, bool],
) -> dict[str, NDArray[np.generic]]:
    augmented, telephone = way
    said = [asdict(utterance) for utterance in utterances]
    key = json.dumps([VERSION, seed, augmented, said, *(["telephone"] if telephone else [])]).encode()
    digest = hashlib.sha256(key).hexdigest()
    store = cache / f"speech-{digest[:24]}.npz"
    if not store.exists():
        sequences = list(_compute(utterances, networks, seed=int(digest[:8], 16), way=way))
        partial = store.with_suffix(".partial.npz")
        np.savez(partial, values=np.concatenate(sequences), lengths=np.array([len(one) for one in sequences]))
        partial.rename(store)
    with np.load(store) as found:
        return {"values": found["values"], "lengths": found["lengths"]}


def _compute(
    utterances: Sequence[Utterance],
    networks: tuple[MelFrontEnd, SpeechBackbone],
    *,
    seed: int,
    way: tuple[bool, bool],
) -> Iterator[NDArray[np.float16]]:
    augmented, telephone = way

    def sound(index: int) -> Samples:
        samples, rng = speak(utterances[index]), np.random.default_rng((seed, index))
        if augmented:
            return augment(samples, rng)
        return through_telephone(samples, rng) if telephone else samples

    # Similar lengths share a batch, so that little of it is padding; the order is restored at the end.
    with ThreadPoolExecutor(2) as pool:
        sounds = list(pool.map(sound, range(len(utterances))))
    order = np.argsort([samples.size for samples in sounds], kind="stable")
    found: dict[int, NDArray[np.float16]] = {}
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        for row, features in zip(rows, _encode([sounds[row] for row in rows], networks), strict=True):
            found[int(row)] = features
    return (found[row] for row in range(len(utterances)))


@torch.inference_mode()
def _encode(sounds: Sequence[Samples], networks: tuple[MelFrontEnd, SpeechBackbone]) -> Iterator[NDArray[np.float16]]:
    front_end, backbone = networks
    lengths = torch.tensor([samples.size for samples in sounds])
    padded = nn.utils.rnn.pad_sequence([torch.from_numpy(samples) for samples in sounds], batch_first=True)
    windows = cut_windows(padded, lengths)
    features = backbone(front_end(windows.samples)).numpy().astype(np.float16)
    # A phrase longer than one window is rare and trains on its first.
    firsts = np.unique(windows.clips.numpy(), return_index=True)[1]
    return (features[row, : int(windows.steps[row])] for row in firsts)


def join_features(parts: Sequence[SpokenFeatures]) -> SpokenFeatures:
    """Put several sets of utterances behind one another."""
    offsets = np.concatenate(([0], np.cumsum([len(part.values) for part in parts])))
    starts = [part.starts[:-1] + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    return SpokenFeatures(
        values=np.concatenate([part.values for part in parts]),
        starts=np.concatenate((*starts, offsets[-1:])),
        phrases=np.concatenate([part.phrases for part in parts]),
    )
