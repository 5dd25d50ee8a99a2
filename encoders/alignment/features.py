"""What alignment is learnt from: the vectors of paired items, one table a modality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedFeatures:
    """Vectors of items by modality; what belongs to one item stands in the same row.

    Attributes:
        item_ids: The items, of length n.
        vectors: float32 of shape (n, source dims) by modality, rows of unit norm; all NaN where an item lacks it.
        views: Vectors of the same items, distorted: second views, which belong to the first without any label.
    """

    item_ids: tuple[str, ...]
    vectors: Mapping[Modality, NDArray[np.float32]]
    views: Mapping[Modality, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.item_ids)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What the items have, in the vocabulary's order."""
        return tuple(each for each in Modality if each in self.vectors)

    def dims(self, modality: Modality) -> int:
        """Length of a modality's vectors."""
        return int(self.vectors[modality].shape[1])

    def present(self, modality: Modality) -> NDArray[np.bool_]:
        """Which items have it, of shape (n,)."""
        return np.asarray(~np.isnan(self.vectors[modality][:, 0]))

    def together(self, modalities: Sequence[Modality]) -> NDArray[np.bool_]:
        """Which items have all of them, of shape (n,)."""
        return np.asarray(np.logical_and.reduce([self.present(each) for each in modalities]))

    def take(self, rows: NDArray[np.int64]) -> "PairedFeatures":
        """Return some of the items, in the order of ``rows``."""
        return PairedFeatures(
            item_ids=tuple(self.item_ids[row] for row in rows),
            vectors={modality: table[rows] for modality, table in self.vectors.items()},
            views={modality: table[rows] for modality, table in self.views.items()},
        )
