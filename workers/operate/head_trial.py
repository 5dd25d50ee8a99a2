"""What alignment heads are compared on: items to fit on and others to measure on, before any head."""

from pathlib import Path

from config.settings import Settings
from encoders.alignment.run import split
from encoders.alignment.sightings import Sighted, sight
from encoders.base import EncoderSet
from workers.operate.collection import Collection, from_corpus, from_unseen, sighted
from workers.operate.head_comparison import Trial
from workers.operate.measuring import encode, encode_questions


def trial_on_items(
    collection: Collection, encoders: EncoderSet, settings: Settings, cache: Path, *, share: float
) -> Trial:
    """Return a trial on a collection, whose items are parted by a hash of their ids.

    Args:
        collection: The items.
        encoders: Without heads.
        settings: Limits of media, and how the device is used.
        cache: Keeps the vectors.
        share: Part of the items to measure on.

    Raises:
        Misconfigured: Nothing can be read, or the items are too few.
    """
    read = encode(collection, encoders, settings, cache, whole_clips=False)
    training, test = split(read.features, share)
    seen = sight(test)
    return Trial(
        title=collection.title,
        base=encoders.model,
        training=training,
        test=Sighted(queries=seen, items=seen),
        problems=read.problems,
    )


def trial_on_corpus(encoders: EncoderSet, settings: Settings, cache: Path, *, share: float, held_out: bool) -> Trial:
    """Return a trial on the shipped corpus.

    Args:
        encoders: Whose vectors.
        settings: How the device is used.
        cache: Keeps packages and vectors.
        share: Part of the corpus to measure on.
        held_out: Fit on all of the corpus instead, and measure on what the built-in model never met, asked for by name.

    Raises:
        Misconfigured: The ``train`` extra or espeak-ng is missing.
    """
    if not held_out:
        return trial_on_items(from_corpus(), encoders, settings, cache, share=share)
    training = encode(from_corpus(), encoders, settings, cache, whole_clips=False)
    unseen = from_unseen(cache)
    test = encode(unseen, encoders, settings, cache, whole_clips=False)
    return Trial(
        title=unseen.title,
        base=encoders.model,
        training=training.features,
        test=sighted(unseen, test.features, encode_questions(unseen, encoders, settings, cache)),
        problems=(*training.problems, *test.problems),
    )
