"""Train the speech head: voices saying names are carried to where the text head and the image tower put those names.

The text head and the image tower are finished before this stage and stay as they are. They give every phrase the
vector that it stands for: its text's, and for the name of an emoji the mean of that and its pictures'. What is learnt
is to recognise the phrase.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from encoders.builtin.artifacts import BUILTIN_DIMS, load_manifest, save_manifest, save_module
from encoders.builtin.speech import WEIGHTS_FILE, MelFrontEnd, SpeechBackbone, SpeechTower
from encoders.builtin.speech_head import SpeechHead
from encoders.builtin.training.embeddings import embed_texts, embed_vendors
from encoders.builtin.training.emoji import Concept, load_concepts
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.speech_convert import NOTICE, load_original
from encoders.builtin.training.speech_data import (
    ACCENTS,
    FLITE_VOICES,
    HELD_OUT_MANDARIN,
    HELD_OUT_VOICES,
    OTHER_MAKE,
    VARIANTS,
)
from encoders.builtin.training.speech_distort import change_timbre, hide_slots, warped_places
from encoders.builtin.training.speech_features import SpokenFeatures, join_features, spoken_features
from encoders.builtin.training.speech_phrases import (
    NOT_A_CONCEPT,
    Phrase,
    chinese_phrases,
    draw_takes,
    extra_takes,
    keyword_phrases,
    name_phrases,
    photograph_phrases,
)
from encoders.progress import track

BATCH: Final = 256
LEARNING_RATE: Final = 2e-3
WEIGHT_DECAY: Final = 0.05
DROPOUT: Final = 0.2
INPUT_NOISE: Final = 0.2  # in standard deviations of the features
SCALE: Final = 30.0  # of cosines inside the softmax
WHOLE: Final = ("head.keys", "head.values")
NOTICE_FILE: Final = "NOTICE-speech.txt"
CARD_SECTION: Final = """\
Front end and backbone are Google's speech embedding (Apache-2.0), converted to torch and frozen; it looks at 0.8 s of
speech every 80 ms. The head, trained here, mixes neighbouring steps by two convolutions, stretches that sequence to
sixteen steps, recognises which known phrases it may be, and answers with the mean of their vectors, weighted by how
well they fit. It was trained on {phrases:,} English and Chinese phrases (names of emoji, their keywords, names of
photographed things) in {utterances:,} utterances: English by espeak-ng in {accents} accents and {variants} voice
variants and by flite in {recorded} voices made from people's recordings (CMU Arctic: {recorded_voices}), Mandarin by
espeak-ng in {variants} variants; in many speeds and pitches, with throats of other lengths, echo, noise and telephone
bands, and in every pass with sounds of other lengths within a word, another timbre, and parts left out; for {epochs}
passes from seed {seed}.

Never heard in training, and used to measure: {held_out_voices}. The head's design, its sharpness and its phrases were
chosen by what these voices showed, so what they measure is somewhat too good.

Limits: it knows words that it was trained on, in English and Mandarin, one name at a time; words of one syllable are
often taken for others that sound alike. It has heard synthesisers only: people are understood less well, and whole
sentences hardly. Its Mandarin has never heard a voice made from recordings.
Sounds that are not speech get a vector that means nothing.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where spoken phrases must go.

    Attributes:
        values: (phrases, dims) unit vectors that the phrases stand for.
        concepts: (phrases,) int64 concept of each phrase, or ``NOT_A_CONCEPT``.
    """

    values: Tensor
    concepts: Tensor


def train_speech(
    out: Path, cache: Path = DEFAULT_CACHE, seed: int = 0, *, vendors: Sequence[str], epochs: int = 15
) -> None:
    """Train the speech tower against the image tower and text head in ``out`` and write it beside them.

    Args:
        out: Weights folder with a manifest; gains ``speech.safetensors``.
        cache: Packages, renderings and spoken features.
        seed: Voices, noise, order and initial weights.
        vendors: Whose pictures to train against: those that the image tower was trained on.
        epochs: Passes over the spoken data.

    Raises:
        Misconfigured: a package or a speaking program is missing, or ``out`` holds no image tower or text head.
    """
    concepts = load_concepts(cache)
    phrases, spoken, networks = speak_training_data(concepts, cache, seed)
    targets = make_targets(out, concepts, phrases, vendors, cache)
    tower = SpeechTower(dims=BUILTIN_DIMS, phrases=len(phrases))
    tower.front_end, tower.backbone = networks
    tower.head = fit_head(spoken, targets, seed=seed, epochs=epochs)
    publish(tower, out, phrases=len(phrases), utterances=len(spoken), seed=seed, epochs=epochs)


def publish(tower: SpeechTower, out: Path, *, phrases: int, utterances: int, seed: int, epochs: int) -> None:
    """Write the tower, its line and facts in the manifest, and its notice."""
    digest = save_module(tower, WEIGHTS_FILE, out, whole=WHOLE)
    manifest = load_manifest(out)
    facts = {
        "phrases": phrases,
        "utterances": utterances,
        "epochs": epochs,
        "seed": seed,
        "accents": len(ACCENTS),
        "variants": len(VARIANTS),
        "recorded_voices": list(FLITE_VOICES),
        "held_out_voices": [*HELD_OUT_VOICES, *HELD_OUT_MANDARIN, OTHER_MAKE],
    }
    files = {**manifest.files, WEIGHTS_FILE: digest}
    save_manifest(dataclasses.replace(manifest, files=files, facts={**manifest.facts, "speech": facts}), out)
    (out / NOTICE_FILE).write_text(NOTICE + "\n", encoding="utf-8")


def speech_card(facts: Mapping[str, Any]) -> str:
    """Return the model card's section on speech from what ``publish`` left as ``speech`` in the manifest's facts."""
    voices = {name: ", ".join(facts[name]) for name in ("recorded_voices", "held_out_voices")}
    return CARD_SECTION.format(**{**facts, **voices, "recorded": len(facts["recorded_voices"])})


def speak_training_data(
    concepts: Sequence[Concept], cache: Path, seed: int
) -> tuple[list[Phrase], SpokenFeatures, tuple[MelFrontEnd, SpeechBackbone]]:
    """Say all training phrases; returns them, their features, and the converted front end and backbone."""
    networks = load_original(cache)
    groups = {
        "names": name_phrases(concepts),
        "keywords": keyword_phrases(concepts),
        "photographs": photograph_phrases(),
        "Chinese": chinese_phrases(concepts),
    }
    phrases: list[Phrase] = []
    parts: list[SpokenFeatures] = []
    for label, group in groups.items():
        utterances, rows = draw_takes(group, seed)
        numbers = [row + len(phrases) for row in rows]
        store = cache / "speech"
        parts.append(
            spoken_features(utterances, numbers, networks, cache=store, seed=seed, augmented=True, label=f"say {label}")
        )
        phrases += group
    parts.append(_say_short_words(phrases, networks, cache, seed))
    return phrases, join_features(parts), networks


def _say_short_words(
    phrases: Sequence[Phrase], networks: tuple[MelFrontEnd, SpeechBackbone], cache: Path, seed: int
) -> SpokenFeatures:
    short = extra_takes(phrases)
    places = list(short)
    utterances, rows = draw_takes(list(short.values()), seed + 1)  # other voices than the first takes'
    numbers = [places[row] for row in rows]
    return spoken_features(
        utterances, numbers, networks, cache=cache / "speech", seed=seed, augmented=True, label="say short words again"
    )


def make_targets(
    out: Path, concepts: Sequence[Concept], phrases: Sequence[Phrase], vendors: Sequence[str], cache: Path
) -> Targets:
    """Embed every phrase's spelling and every training vendor's pictures with the towers in ``out``."""
    pictures = torch.zeros(len(concepts), BUILTIN_DIMS)
    for rows, vectors in embed_vendors(vendors, concepts, out, cache):
        pictures[torch.from_numpy(rows)] += torch.from_numpy(vectors)
    texts = torch.from_numpy(embed_texts([phrase.text for phrase in phrases], out, cache))
    numbers = torch.tensor([phrase.concept for phrase in phrases])
    named = (numbers != NOT_A_CONCEPT).unsqueeze(1)
    shown = functional.normalize(pictures, dim=1)[numbers.clamp_min(0)]
    return Targets(values=functional.normalize(texts + named * shown, dim=1), concepts=numbers)


def fit_head(spoken: SpokenFeatures, targets: Targets, *, seed: int, epochs: int) -> SpeechHead:
    """Train a head from scratch; deterministic for a seed, a machine and a number of threads."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    count, dims = targets.values.shape
    head = SpeechHead(dims=dims, phrases=count, dropout=DROPOUT)
    head.values.copy_(targets.values)
    standardise(head, spoken)
    phrases = torch.from_numpy(spoken.phrases)
    batches = len(spoken) // BATCH
    optimiser = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=LEARNING_RATE, total_steps=epochs * batches, pct_start=0.1
    )
    head.train()
    for _ in track(range(epochs), "train the speech head"):
        for rows in rng.permutation(len(spoken))[: batches * BATCH].reshape(batches, BATCH):
            heard = distorted(head, *spoken.pad(rows))
            fits = head.match(heard + INPUT_NOISE * torch.randn_like(heard))
            loss = speech_loss(fits, phrases[rows], targets.concepts)
            optimiser.zero_grad()
            torch.autograd.backward([loss])
            optimiser.step()
            schedule.step()
    return head.eval()


def standardise(head: SpeechHead, spoken: SpokenFeatures) -> None:
    """Set a head's mean and scale from the spoken features."""
    values = spoken.values.astype(np.float32)
    head.mean.copy_(torch.from_numpy(values.mean(axis=0)))
    head.scale.copy_(torch.from_numpy(values.std(axis=0)))


def distorted(head: SpeechHead, features: Tensor, steps: Tensor) -> Tensor:
    """Return what a head hears (n, inputs) of utterances said by somebody a little different in each pass."""
    heard = head.normalise(change_timbre(features, head.scale), steps, warped_places(len(features)))
    return hide_slots(heard)


def speech_loss(fits: Tensor, phrases: Tensor, concepts: Tensor) -> Tensor:
    """Return how badly each clip's own phrase is recognised, a scalar.

    Args:
        fits: (n, phrases) cosines with every phrase's key.
        phrases: (n,) what was said.
        concepts: (phrases,) concept of every phrase; taking one name of a concept for another is no mistake.
    """
    said = concepts[phrases]
    twins = (said[:, None] == concepts) & (said[:, None] != NOT_A_CONCEPT)
    twins[torch.arange(len(phrases)), phrases] = False
    return functional.cross_entropy((SCALE * fits).masked_fill(twins, -torch.inf), phrases)
