"""What every index refuses before it touches anything, so that all of them refuse alike."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured, Reason, RejectEvent
from config.vocabulary import Modality
from fusion.index.filters import parse_filter
from fusion.index.layout import check_item_id, dump_attributes
from fusion.index.protocol import FUSED, Item, Segment, Tombstone, VectorSearch


def check_change(change: Item | Tombstone, dims: int, modalities: Collection[Modality]) -> None:
    """See that a change can be stored.

    Raises:
        RejectEvent: When the event is at fault: its id, its attributes, or no modality at all.
        Misconfigured: When encoder and index do not fit: a modality it was not made for, or another length.
        ValueError: When a segment has no direction.
    """
    check_item_id(change.item_id)
    if isinstance(change, Tombstone):
        return
    dump_attributes(change.attributes)
    if not change.vectors:
        raise RejectEvent(
            Reason.INVALID_EVENT, "holds nothing that could be found: give at least one", field="modalities"
        )
    for modality, vector in change.vectors.items():
        _check_vector(change.item_id, modality, vector, dims, modalities)
    for segment in change.segments:
        _check_segment(change, segment, dims)


def _check_vector(
    item_id: str, modality: Modality, vector: NDArray[np.float32], dims: int, modalities: Collection[Modality]
) -> None:
    if modality not in modalities:
        known = ", ".join(sorted(modalities))
        raise Misconfigured(f"{item_id!r} has {modality}, and the index was made for {known}: add it to the profile")
    if vector.shape != (dims,):
        raise Misconfigured(f"{item_id!r} has a {modality} vector of shape {vector.shape}; the index holds ({dims},)")
    if not np.isfinite(vector).all() or not vector.any():
        message = "its vector is zero or not finite: the encoder found nothing in it"
        raise RejectEvent(Reason.ENCODER_FAILED, message, field=f"modalities.{modality}")


def _check_segment(item: Item, segment: Segment, dims: int) -> None:
    """See that a segment has a direction, its own or the item's; else the caller is at fault."""
    if segment.modality not in item.vectors:
        msg = f"{item.item_id!r} has a segment of {segment.modality} and no such vector"
        raise ValueError(msg)
    if segment.codes and (len(segment.codes) != dims or not any(segment.codes)):
        msg = f"{item.item_id!r} has a segment of {len(segment.codes)} codes; the index needs {dims}, not all zero"
        raise ValueError(msg)


def check_search(search: VectorSearch, dims: int, modalities: Collection[Modality]) -> None:
    """See that a search can be answered.

    Raises:
        RejectEvent: ``INVALID_FILTER`` when its filter does not parse.
        ValueError: When the caller is at fault: no such vector set, another length, or a count below 1.
    """
    if search.target != FUSED and search.target not in modalities:
        msg = f"the index holds no {search.target!r}: it was made for {', '.join(sorted(modalities))} and {FUSED}"
        raise ValueError(msg)
    if search.vector.shape != (dims,) or not np.isfinite(search.vector).all() or not search.vector.any():
        msg = f"a search needs a finite vector other than zero of shape ({dims},), not {search.vector.shape}"
        raise ValueError(msg)
    if search.count < 1:
        msg = f"a search needs a count of at least 1, not {search.count}"
        raise ValueError(msg)
    if search.filter.strip():
        parse_filter(search.filter)
