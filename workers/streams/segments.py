"""What of an item a summary may show: its passages, frames and stretches of sound, planned before anything is encoded.

What the item's own vectors are made of is encoded once: a text of one sentence, a picture, a frame, a short sound. Only
the sentences of a longer text and the stretches of a longer sound, and the frames and the track of a clip beside which
the item has a picture or a sound of its own, are inputs of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from config.errors import RejectEvent
from config.settings import ContentSettings
from config.vocabulary import Modality
from encoders.base import AudioInput, EncoderInput, ImageInput, TextInput, Vector
from encoders.media.sentences import sentences
from encoders.media.stretches import stretches
from fusion.index.protocol import Segment
from fusion.index.segment_layout import quantised
from workers.streams.inputs import Input

SHORT_TEXT: Final = 60
"""Texts of up to this many characters are one passage, however many sentences they have."""

_MILLISECONDS: Final = 3  # digits of seconds that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A segment that is still without a direction, and the input that gives it one."""

    segment: Segment
    value: EncoderInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to encode of an item.

    Args:
        inputs: What its vectors are made of.
        pieces: What its segments are made of: some of those inputs, and others.
    """

    inputs: Sequence[Input]
    pieces: Sequence[Piece] = ()

    @property
    def further(self) -> list[tuple[Modality, EncoderInput]]:
        """Inputs of segments alone, to be encoded after ``inputs``."""
        own = {id(made.value) for made in self.inputs}
        return [(piece.segment.modality, piece.value) for piece in self.pieces if id(piece.value) not in own]

    def segments(self, vectors: Sequence[Vector | RejectEvent]) -> tuple[Segment, ...]:
        """The segments, from the vectors of ``inputs`` and ``further`` in their order.

        A piece that could not be encoded is left out: the item is found by its own vectors all the same.
        """
        own = {id(made.value): vector for made, vector in zip(self.inputs, vectors, strict=False)}
        alone = {modality for modality in Modality if sum(made.modality is modality for made in self.inputs) == 1}
        rest = iter(vectors[len(self.inputs) :])
        directed = []
        for piece in self.pieces:
            known = id(piece.value) in own
            vector = own[id(piece.value)] if known else next(rest)
            if known and piece.segment.modality in alone:
                directed.append(piece.segment)
            elif not isinstance(vector, RejectEvent):
                directed.append(replace(piece.segment, codes=quantised(vector)))
        return tuple(directed)


def plan(found: Sequence[Input], inputs: Sequence[Input], settings: ContentSettings) -> Plan:
    """Plan an item's segments.

    Args:
        found: Everything that was read of it.
        inputs: What of that its vectors are made of.
        settings: Whether and how many.
    """
    if not settings.segments:
        return Plan(inputs=inputs)
    frames = [made for made in found if made.source is Modality.VIDEO and made.modality is Modality.IMAGE]
    passed_over = {id(made) for made in frames} - {id(made) for made in _spread(frames, settings.max_frames)}
    shown = [made for made in found if id(made) not in passed_over]
    return Plan(inputs=inputs, pieces=[piece for made in shown for piece in _pieces(made, settings)])


def _spread(frames: Sequence[Input], most: int) -> list[Input]:
    if len(frames) <= most:
        return list(frames)
    return [frames[int((place + 0.5) * len(frames) / most)] for place in range(most)]


def _pieces(made: Input, settings: ContentSettings) -> Iterator[Piece]:
    segment = Segment(modality=made.modality, source=made.source)
    match made.value:
        case TextInput():
            yield from _passages(made.value, segment, settings.max_passages)
        case ImageInput(time_s=time_s):
            at_s = None if time_s is None else round(time_s, _MILLISECONDS)
            yield Piece(segment=replace(segment, start=at_s, end=at_s), value=made.value)
        case AudioInput():
            yield from _stretches(made.value, segment, settings.max_stretches)
        case _:
            return  # a place and readings have no parts to show


def _passages(value: TextInput, segment: Segment, most: int) -> Iterator[Piece]:
    text = value.text
    spans = sentences(text, language=value.language, most=1 if len(text) <= SHORT_TEXT else most)
    for start, end in spans:
        words = text[start:end]
        passage = value if len(spans) == 1 else TextInput(text=words, language=value.language)
        yield Piece(segment=replace(segment, start=start, end=end, text=words), value=passage)


def _stretches(value: AudioInput, segment: Segment, most: int) -> Iterator[Piece]:
    spans = stretches(value, most=most)
    for start, end in spans:
        start_s, end_s = np.round(np.array([start, end]) / value.sample_rate_hz, _MILLISECONDS).tolist()
        heard = value if len(spans) == 1 else replace(value, samples=value.samples[start:end])
        yield Piece(segment=replace(segment, start=start_s, end=end_s), value=heard)
