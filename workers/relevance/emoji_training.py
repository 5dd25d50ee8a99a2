"""Make the shipped fusion weights again, from queries over the built-in corpus."""

from pathlib import Path
from typing import Final

from encoders.builtin.artifacts import load_manifest
from encoders.builtin.training.packages import DEFAULT_CACHE
from fusion.attention_weights import FusionWeights, write_weights
from fusion.learning.card import write_card
from fusion.learning.options import FusionOptions
from fusion.learning.train import Tell, train_fusion
from workers.relevance.emoji_collection import EmojiCollection
from workers.relevance.emoji_vectors import load_emoji_vectors

NAME: Final = "emoji"
TRAINING_QUERIES: Final = 600
VALIDATION_QUERIES: Final = 100
"""Of each group."""
DROPPED: Final = 0.55
"""Of what items have: in training all have everything, and each step sees another collection that lacks some."""

_SOURCE: Final = (
    "Queries of one, two and three parts over the built-in emoji, by words, by pictures of artists held out from the "
    "model's training, and by voices held out from it, negative parts among them; with items that lack modalities. "
    "Emoji that trained, that chose the step, and that `crosscurrent evaluate fusion` measures on are different ones."
)
_USE: Final = (
    "They ship with the package: `fusion.strategy: attention` in a query, or `query.strategy` in the settings."
)


def train_emoji_fusion(
    out: Path, options: FusionOptions, cache: Path = DEFAULT_CACHE, *, tell: Tell = lambda *_: None
) -> FusionWeights:
    """Train, and write weights and card into ``out``.

    Raises:
        Misconfigured: A package of the ``train`` extra or espeak-ng is missing.
    """
    manifest = load_manifest()
    collection = EmojiCollection.of(load_emoji_vectors(cache), manifest.model, manifest.calibration)
    training = collection.examples("train", TRAINING_QUERIES, seed=options.seed + 1)
    validation = collection.examples("validation", VALIDATION_QUERIES, seed=options.seed + 2)
    weights = train_fusion(training, validation, options, manifest.model, tell=tell)
    weights = write_weights(weights, out)
    write_card(weights, out, source=_SOURCE, use=_USE)
    return weights
