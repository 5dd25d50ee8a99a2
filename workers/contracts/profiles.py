"""Records of the compacted ``profiles`` topic: what a user likes now. The key is the ``user_id``.

A forgotten user ends as a record without value, which compaction then removes together with all earlier ones. When the
user asked for it is in the header ``forgotten_ms``, so that whoever refills a store refuses replays of what is older.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, model_validator

from config.vocabulary import ModelRef
from fusion.people.protocol import Profile, Step, Sums
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

    def unpacked(self) -> Step:
        """Read it back."""
        return Step(item_id=self.item_id, weight=self.weight, occurred_at_ms=self.at_ms, session_id=self.session_id)


FORGOTTEN_HEADER: Final = "forgotten_ms"
"""Header of the record that ends a forgotten user: event time of the wish, in milliseconds since 1970."""

PackedSum = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
"""A vector's float64 numbers, little-endian, as base64."""


class ProfileSums(Wire):
    """What a profile's vector and strength are made of, so that it can be put back exactly."""

    total: PackedSum
    """The items' vectors by their weights, decayed up to ``reference_ms``: little-endian float64, as base64."""
    strength: float = Field(ge=0)
    """Sum of the absolute weights, decayed likewise."""
    reference_ms: int
    """Milliseconds since 1970."""

    @classmethod
    def of(cls, sums: Sums) -> Self:
        """Write the sums."""
        total = base64.b64encode(np.asarray(sums.total, "<f8").tobytes()).decode()
        return cls(total=total, strength=sums.strength, reference_ms=sums.reference_ms)

    def unpacked(self) -> Sums:
        """Read them back, bit for bit.

        Raises:
            ValueError: If the total is not base64 of whole float64 numbers.
        """
        total = np.frombuffer(base64.b64decode(self.total, validate=True), "<f8").astype(np.float64)
        return Sums(total=total, strength=self.strength, reference_ms=self.reference_ms)


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
    touched_ms: tuple[int, ...] = ()
    """When each of ``recent`` was touched last, in milliseconds since 1970."""
    sums: ProfileSums | None = None
    """What vector and strength are made of; absent while the user is cold."""

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.touched_ms and len(self.touched_ms) != len(self.recent):
            msg = f"touched_ms has {len(self.touched_ms)} times for {len(self.recent)} items in recent"
            raise ValueError(msg)
        if self.sums is not None:
            self.sums.unpacked()
        return self

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
            touched_ms=profile.touched_ms,
            sums=None if profile.sums is None else ProfileSums.of(profile.sums),
        )

    def profile(self) -> Profile:
        """The profile, as it was read then."""
        return Profile(
            user_id=self.user_id,
            vector=self.unpacked(),
            strength=self.strength,
            recent=self.recent,
            updated_at_ms=self.updated_at_ms,
            steps=tuple(step.unpacked() for step in self.steps),
            touched_ms=self.touched_ms,
            sums=None if self.sums is None else self.sums.unpacked(),
        )

    def unpacked(self) -> NDArray[np.float32] | None:
        """The vector: float32 of shape (dims,); None while cold."""
        return None if self.vector is None else unpack_vector(self.vector)


USER_PROFILES: TypeAdapter[UserProfile] = TypeAdapter(UserProfile)
"""Reads a record of the profiles topic."""


def forgotten_headers(at_ms: int | None) -> dict[str, bytes]:
    """Headers of the record without value that ends a user; none when the wish is not known."""
    return {} if at_ms is None else {FORGOTTEN_HEADER: str(at_ms).encode()}


def forgotten_at(headers: Mapping[str, bytes]) -> int | None:
    """Read them; None where there is no time."""
    found = headers.get(FORGOTTEN_HEADER, b"")
    return int(found) if found.removeprefix(b"-").isdigit() else None
