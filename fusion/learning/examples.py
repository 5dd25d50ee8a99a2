"""What fusion learns from: queries with their candidates' similarities, and what each candidate is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import MissingRule, Modality
from fusion.scores import Constants, Scores
from fusion.scoring_batch import padded

_PLACE = {modality: place for place, modality in enumerate(Modality)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """One query.

    Args:
        group: What is averaged apart, such as the modalities of its parts.
        modalities: Of the rows; all examples of one training have the same.
        part_modalities: Of the parts.
        part_weights: Shape (parts,); negative steers away.
        deviations: float32 of shape (parts, modalities, candidates), in standard deviations from the background.
        present: Shape (modalities, candidates).
        gains: Shape (candidates,), not negative, some above 0. Their sum is how much the query counts: 1 for judged
            ones; for clicks what all of them come to, each by 1 / how likely its place is looked at.
    """

    group: str
    modalities: tuple[Modality, ...]
    part_modalities: tuple[Modality, ...]
    part_weights: NDArray[np.float32]
    deviations: NDArray[np.float32]
    present: NDArray[np.bool_]
    gains: NDArray[np.float32]

    def among(self, places: NDArray[np.intp]) -> "Example":
        """The same query with some of its candidates."""
        return Example(
            group=self.group,
            modalities=self.modalities,
            part_modalities=self.part_modalities,
            part_weights=self.part_weights,
            deviations=self.deviations[..., places],
            present=self.present[..., places],
            gains=self.gains[places],
        )


def scores_of_examples(examples: Sequence[Example], constants: Constants | None = None) -> Scores:
    """Lay examples out as the block that strategies fuse; only deviations are filled, all modalities weigh 1."""
    deviations = padded([example.deviations for example in examples]).astype(np.float64)
    present = padded([example.present for example in examples])
    nothing = np.zeros_like(deviations)
    codes = [np.array([_PLACE[each] for each in example.part_modalities], np.intp) for example in examples]
    return Scores(
        similarities=nothing,
        deviations=deviations * present[:, None],
        calibrated=nothing,
        present=present,
        part_weights=padded([example.part_weights.astype(np.float64) for example in examples]),
        modality_weights=np.ones(present.shape[:2]),
        part_modalities=padded(codes),
        modalities=examples[0].modalities,
        constants=constants or Constants(missing=MissingRule.RENORMALISE),
    )
