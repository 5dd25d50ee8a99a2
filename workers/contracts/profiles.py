"""Records of the compacted ``profiles`` topic: what a user likes now. The key is the ``user_id``.

A forgotten user ends as a record without value, which compaction then removes together with all earlier ones.
"""

from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from config.vocabulary import ModelRef
from fusion.people.protocol import Profile, Step
from workers.contracts.base import Event, Wire, WireId, WireItemId, WireUserId
from workers.contracts.vectors import PackedVector, pack_vector, unpack_vector


class UserStep(Wire):
    """One of a user's latest actions."""

    item_id: WireItemId
    """On what."""
    weight: float
    """What it was worth; below 0 for what was disliked, 0 for a rating in the middle."""
    at_ms: int
    """Event time, in milliseconds since 1970."""
    session_id: WireId | None = None
    """The visit it belongs to."""

    @classmethod
    def of(cls, step: Step) -> Self:
        """Write a step."""
        return cls(item_id=step.item_id, weight=step.weight, at_ms=step.occurred_at_ms, session_id=step.session_id)


class UserProfile(Event):
    """A snapshot of a user's profile. ``occurred_at`` is the moment up to which its strength has decayed."""

    user_id: WireUserId
    """Whose; also the record's key."""
    updated_at_ms: int
    """Event time of the newest interaction counted, in milliseconds since 1970."""
    model: str = Field(pattern=r"^[^@]+@[^@]+$")
    """The model whose space the vector lives in, as ``name@version``."""
    vector: PackedVector | None = None
    """Unit vector of the taste: little-endian float32, as base64; absent while the user is cold."""
    strength: float = Field(ge=0)
    """Sum of the absolute decayed weights behind the vector."""
    recent: tuple[WireItemId, ...] = ()
    """Latest items touched, newest first."""
    steps: tuple[UserStep, ...] = ()
    """Latest actions that shape the taste, newest first: the visit, and what a sequence model reads."""

    @classmethod
    def of(cls, profile: Profile, model: ModelRef, as_of: datetime) -> Self:
        """Pack a profile as it was read at a moment, up to which its strength has decayed."""
        return cls(
            occurred_at=as_of,
            user_id=profile.user_id,
            updated_at_ms=profile.updated_at_ms,
            model=str(model),
            vector=None if profile.vector is None else pack_vector(profile.vector),
            strength=profile.strength,
            recent=profile.recent,
            steps=tuple(UserStep.of(step) for step in profile.steps),
        )

    def unpacked(self) -> NDArray[np.float32] | None:
        """The vector: float32 of shape (dims,); None while cold."""
        return None if self.vector is None else unpack_vector(self.vector)


USER_PROFILES: TypeAdapter[UserProfile] = TypeAdapter(UserProfile)
"""Reads a record of the profiles topic."""
