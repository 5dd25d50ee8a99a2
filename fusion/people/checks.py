"""What every people store refuses or does alike."""

import math
from collections.abc import Mapping

import numpy as np

from config.errors import Misconfigured, Reason, RejectEvent
from config.vocabulary import ItemId, UserId
from fusion.index.layout import MAX_ID_BYTES, check_item_id
from fusion.people.protocol import Interaction, Profile


def check_user_id(user_id: UserId) -> None:
    """Refuse an id that cannot be a key.

    Raises:
        RejectEvent: ``INVALID_EVENT`` on ``user_id``.
    """
    _check_text(user_id, "user_id")


def check_interaction(interaction: Interaction, dims: int) -> None:
    """See that an interaction can be counted.

    Raises:
        RejectEvent: When the event is at fault: an id, or a weight that is not finite.
        Misconfigured: When the vector is not of the model's length.
    """
    check_user_id(interaction.user_id)
    check_item_id(interaction.item_id)
    _check_text(interaction.event_id, "event_id")
    if interaction.session_id is not None:
        _check_text(interaction.session_id, "session_id")
    if not math.isfinite(interaction.weight):
        raise RejectEvent(Reason.INVALID_EVENT, f"must be a finite number, not {interaction.weight}", field="value")
    if interaction.vector is not None and interaction.vector.shape != (dims,):
        raise Misconfigured(f"an item's vector has shape {interaction.vector.shape}; profiles are of shape ({dims},)")
    if interaction.vector is not None and not np.isfinite(interaction.vector).all():
        raise Misconfigured(f"the vector of {interaction.item_id!r} is not finite: index it again")


def check_profile(profile: Profile, dims: int) -> None:
    """See that a profile can be put back.

    Raises:
        RejectEvent: When its user's id is at fault.
        Misconfigured: When its sum is not of the model's length, or not finite.
    """
    check_user_id(profile.user_id)
    total = None if profile.sums is None else profile.sums.total
    if total is not None and (total.shape != (dims,) or not np.isfinite(total).all()):
        raise Misconfigured(
            f"the profile of {profile.user_id!r} has a sum of shape {total.shape}; profiles are finite, of ({dims},)"
        )


def _check_text(text: str, field: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise RejectEvent(Reason.INVALID_EVENT, "holds half a surrogate pair: send valid Unicode", field=field) from exc
    if not 1 <= size <= MAX_ID_BYTES:
        raise RejectEvent(
            Reason.INVALID_EVENT, f"must have 1 to {MAX_ID_BYTES} bytes in UTF-8, not {size}", field=field
        )


def highest(scores: Mapping[ItemId, float], count: int) -> list[tuple[ItemId, float]]:
    """The items with the highest scores, highest first, ties by item id."""
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))[:count]
