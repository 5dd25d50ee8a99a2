"""Label sets: what items are tagged with, from the settings and from the presets that ship under ``config/tags/``.

A label is known by its phrases alone; nothing is trained. A set becomes two attributes of an item: one with its name
that holds the label (or the list of labels), and ``<name>_confidence``.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from config.vocabulary import Modality

CONFIDENCE_SUFFIX: Final = "_confidence"
MAX_LABELS: Final = 200
"""Labels of all sets together: each is a series of the metrics and a number in every record of counts."""

MAX_OPEN_WINDOWS: Final = 10_000
"""Windows that ``grace_s`` may keep open: a worker holds the counts of each in memory."""

_TAKEN: Final = frozenset({"latitude", "longitude"})  # every item with a location has these attributes

SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
"""What a filter can name: ASCII letters, digits and ``_``."""

# Filters cannot quote a backslash.
Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f\\]+$")]

Phrase = Annotated[str, StringConstraints(max_length=1000, pattern=r"\S")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LabelSet(_Part):
    """Labels that are told apart from one another."""

    labels: Mapping[Label, Annotated[tuple[Phrase, ...], Field(min_length=1)]] = Field(min_length=1)
    """Phrases of each label, in any languages; ten or more say much better what is meant than one."""
    otherwise: tuple[Phrase, ...] = ()
    """Phrases of what is none of the labels: they draw such items away from the labels and become no tag."""
    multi: bool = False
    """Several labels may hold (topics) instead of at most one (sentiment)."""
    modalities: tuple[Modality, ...] = ()
    """What of an item is read; everything it has when empty."""
    min_confidence: float = Field(0.5, ge=0, le=1)
    """A label of less confidence is not written."""

    @field_validator("modalities")
    @classmethod
    def _clips_have_no_vectors(cls, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if Modality.VIDEO in modalities:
            msg = "video has no vectors of its own: name image for a clip's frames and audio for its track"
            raise ValueError(msg)
        return modalities

    @model_validator(mode="after")
    def _has_something_to_tell_apart(self) -> Self:
        if len(self.labels) + bool(self.otherwise) < 2:
            msg = "one label alone can be told from nothing: add a label, or phrases under otherwise"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _no_phrase_says_two_things(self) -> Self:
        seen: dict[str, str] = {}
        for label, phrases in (*self.labels.items(), ("otherwise", self.otherwise)):
            for phrase in phrases:
                if seen.setdefault(phrase.strip().casefold(), label) != label:
                    msg = f"the phrase {phrase!r} stands under {seen[phrase.strip().casefold()]} and under {label}"
                    raise ValueError(msg)
        return self


class TaggingSettings(_Part):
    """Labels that items get when they are indexed, and how they are counted; nothing is tagged without a set."""

    presets: tuple[str, ...] = ()
    """Sets that ship: ``sentiment`` (positive, neutral, negative) and ``topics`` (sports, politics, food, …)."""
    sets: Mapping[SetName, LabelSet] = Field(default_factory=dict)
    """Sets of your own by name: ``labels`` with their phrases, ``otherwise``, ``multi``, ``modalities`` and
    ``min_confidence`` (see docs/tagging.md). The name becomes the attribute."""
    window_s: int = Field(300, ge=1, le=31 * 86_400)
    """Length of the windows of event time that tags are counted in; they start at multiples of it since 1970, UTC."""
    grace_s: int = Field(3600, ge=0, le=10 * 366 * 86_400)
    """How much older than the newest event of its partition an item's window may have ended and still be counted."""

    @field_validator("presets")
    @classmethod
    def _presets_ship(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(presets) - set(shipped_presets())):
            msg = f"no such preset: {', '.join(unknown)}; there are {', '.join(shipped_presets())}"
            raise ValueError(msg)
        return presets

    @model_validator(mode="after")
    def _names_are_free_and_bounds_are_kept(self) -> Self:
        if twice := sorted(set(self.presets) & set(self.sets)):
            msg = f"{', '.join(twice)}: a preset and a set of your own; rename yours or take the preset out"
            raise ValueError(msg)
        names = {*self.presets, *self.sets}
        if taken := sorted(name for name in names if name in _TAKEN or name.endswith(CONFIDENCE_SUFFIX)):
            msg = f"sets cannot be called {', '.join(taken)}: items have attributes of such names already"
            raise ValueError(msg)
        if (count := sum(len(each.labels) for each in self.label_sets().values())) > MAX_LABELS:
            msg = f"{count} labels in all sets together, at most {MAX_LABELS} are allowed"
            raise ValueError(msg)
        if self.grace_s > MAX_OPEN_WINDOWS * self.window_s:
            msg = f"grace_s keeps more than {MAX_OPEN_WINDOWS} windows open: make window_s larger or grace_s smaller"
            raise ValueError(msg)
        return self

    def label_sets(self) -> dict[str, LabelSet]:
        """Every set by its name, the presets first."""
        return {name: _preset(name) for name in self.presets} | dict(self.sets)


def shipped_presets() -> list[str]:
    """Names of the sets that ship."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _folder() -> Path:
    return Path(str(resources.files("config"))) / "tags"


@lru_cache(maxsize=16)
def _preset(name: str) -> LabelSet:
    return LabelSet.model_validate(yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8")))
