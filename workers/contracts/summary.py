"""What a summary may be asked to hold, and what it holds."""

from typing import Self

from pydantic import Field, model_validator

from config.vocabulary import Modality
from workers.contracts.base import Wire, WireItemId

MAX_SHOWN = 50
"""Passages, frames or sounds in one summary."""


class SummaryOptions(Wire):
    """What a summary holds and what it prefers; read by ``summarize``."""

    passages: int = Field(3, ge=0, le=MAX_SHOWN)
    """Most passages of text."""
    frames: int = Field(3, ge=0, le=MAX_SHOWN)
    """Most pictures and frames of clips."""
    sounds: int = Field(2, ge=0, le=MAX_SHOWN)
    """Most stretches of sounds."""
    relevance: float = Field(0.3, ge=0, le=1)
    """Share that ``parts`` have in the choice: 0 none, 1 nothing else counts; without parts it changes nothing."""
    diversity: float = Field(0.3, ge=0, le=1)
    """Share of the reward for variety; what is left rewards coverage."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.passages or self.frames or self.sounds):
            msg = "asks for no passages, no frames and no sounds; give at least one of them a number"
            raise ValueError(msg)
        return self


class SummaryPassage(Wire):
    """A passage of an item's text."""

    item_id: WireItemId
    """The item."""
    text: str
    """Its words."""
    start: int = Field(ge=0)
    """Where it begins in the item's text, in characters from 0."""
    end: int = Field(ge=0)
    """Where it ends."""
    score: float
    """Share of everything that it covers and what was chosen before it does not; all scores add up to the coverage."""


class SummaryFrame(Wire):
    """A frame of an item's clip, or its picture."""

    item_id: WireItemId
    """The item."""
    source: Modality
    """``video`` for a frame of the clip, ``image`` for the item's picture."""
    time_s: float | None = None
    """Seconds from the clip's first picture; absent for a picture."""
    score: float
    """As for passages."""


class SummarySound(Wire):
    """A stretch of an item's sound."""

    item_id: WireItemId
    """The item."""
    source: Modality
    """``audio`` for the item's sound, ``video`` for its clip's track."""
    start_s: float = Field(ge=0)
    """Where it begins, in seconds."""
    end_s: float = Field(ge=0)
    """Where it ends."""
    score: float
    """As for passages."""


class Summary(Wire):
    """What covers the summarised items best: items in the order of the hits, and each item's pieces as they lie."""

    text: str = ""
    """The passages, each item's on a line."""
    passages: tuple[SummaryPassage, ...] = ()
    """Passages of texts."""
    frames: tuple[SummaryFrame, ...] = ()
    """Pictures and frames of clips."""
    sounds: tuple[SummarySound, ...] = ()
    """Stretches of sounds."""
    coverage: float = 0.0
    """How well these stand for everything in the items, in [0, 1]; with ``parts``, for what they ask about."""
    segments: int = Field(0, ge=0)
    """How many passages, frames and stretches there were to choose from."""
