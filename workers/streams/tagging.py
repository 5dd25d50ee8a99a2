"""Tags at ingest: an item's vectors against label sets, whose phrases are encoded once, when the worker starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured, RejectEvent
from config.tagging import CONFIDENCE_SUFFIX, LabelSet
from config.vocabulary import Attributes, Modality
from encoders.base import TextInput
from fusion.index.protocol import Item
from fusion.tagging import Discriminant
from workers.streams.encoding import Batcher

_WAY_OUT: Final = "or take tagging.presets and tagging.sets out of the settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """One set, ready to be asked."""

    name: str
    settings: LabelSet
    discriminant: Discriminant

    def read(self, items: Sequence[Item]) -> list[Attributes]:
        """The set's two attributes of each item; none where it has nothing to read or no label is sure enough."""
        found: list[Attributes] = [{} for _ in items]
        places, means = self._means(items)
        if not places:
            return found
        tags = self.discriminant.tags(np.stack(means), self.settings.min_confidence)
        for place, tag in zip(places, tags, strict=True):
            if tag is not None:
                labels = list(tag.labels) if self.settings.multi else tag.labels[0]
                found[place] = {self.name: labels, self.name + CONFIDENCE_SUFFIX: tag.confidence}
        return found

    def _means(self, items: Sequence[Item]) -> tuple[list[int], list[NDArray[np.float64]]]:
        """Which items have anything to read and are not tagged by their sender, and the mean of what is read.

        The mean, and not a unit vector: modalities count in equal parts, and those that disagree are less sure.
        """
        places, means = [], []
        for place, item in enumerate(items):
            read = [
                vector
                for modality, vector in item.vectors.items()
                if modality in (self.settings.modalities or Modality)
            ]
            if read and not {self.name, self.name + CONFIDENCE_SUFFIX} & item.attributes.keys():
                places.append(place)
                means.append(np.asarray(np.stack(read).mean(axis=0, dtype=np.float64), np.float64))
        return places, means


class Tagger:
    """Adds the attributes of every label set to an item's own; made by ``make_tagger``."""

    def __init__(self, readers: Sequence[_Reader]) -> None:
        self._readers = readers

    def tagged(self, items: Sequence[Item]) -> list[Item]:
        """The items with their tags among their attributes, in order.

        Where an item's own attributes use a name of a set, that set is the sender's and adds nothing to it.
        """
        tags = [reader.read(items) for reader in self._readers]
        return [
            replace(item, attributes={**item.attributes, **{name: tag for each in mine for name, tag in each.items()}})
            for item, *mine in zip(items, *tags, strict=True)
        ]


async def make_tagger(batcher: Batcher, sets: Mapping[str, LabelSet]) -> Tagger:
    """Encode every phrase with the profile's own text encoder.

    Raises:
        Misconfigured: The profile encodes no text or nothing that a set reads, or a set's labels mean the same.
    """
    known = batcher.encoders.modalities
    if Modality.TEXT not in known:
        model = batcher.encoders.model
        raise Misconfigured(f"tagging: {model} encodes no text, and labels are texts: change model.profile, {_WAY_OUT}")
    return Tagger([await _reader(name, settings, batcher, known) for name, settings in sets.items()])


async def _reader(name: str, settings: LabelSet, batcher: Batcher, known: frozenset[Modality]) -> _Reader:
    if settings.modalities and not known & set(settings.modalities):
        wanted = ", ".join(settings.modalities)
        raise Misconfigured(
            f"tagging: set {name} reads {wanted} alone, which {batcher.encoders.model} does not encode: "
            f"name one of {', '.join(sorted(known))} in its modalities, {_WAY_OUT}"
        )
    phrases = {label: await _vectors(name, texts, batcher) for label, texts in settings.labels.items()}
    otherwise = await _vectors(name, settings.otherwise, batcher) if settings.otherwise else None
    try:
        discriminant = Discriminant.of(phrases, multi=settings.multi, otherwise=otherwise)
    except Misconfigured as exc:
        raise Misconfigured(f"tagging: set {name}: {exc}") from exc
    return _Reader(name=name, settings=settings, discriminant=discriminant)


async def _vectors(name: str, phrases: Sequence[str], batcher: Batcher) -> NDArray[np.float32]:
    """Unit vectors (phrases, dims)."""
    outcomes = await batcher.encode_many([(Modality.TEXT, TextInput(text=phrase)) for phrase in phrases])
    for phrase, outcome in zip(phrases, outcomes, strict=True):
        if isinstance(outcome, RejectEvent):
            told = f"tagging: set {name}: the phrase {phrase!r} cannot be encoded ({outcome})"
            raise Misconfigured(told) from outcome
    return np.stack([outcome for outcome in outcomes if not isinstance(outcome, RejectEvent)])
