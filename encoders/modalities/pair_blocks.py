"""One vector for a model that compares each pair of modalities in a space of its own.

Such a model has, say, one text vector to compare with sounds and another to compare with pictures. Here a vector has
one block for every pair of modalities in use; a modality writes its vector for that pair into it, and zeros into the
blocks of pairs that it has no part in. The cosine of two modalities is then the model's own, divided by how many pairs
each of them is in, and within one modality the mean of its pairs' cosines: every ranking of one modality by another is
the model's. With two modalities in use there is one pair and nothing is added.
"""

from collections.abc import Callable, Iterable
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from config.vocabulary import Modality

Pair = frozenset[Modality]


def pairs_of(modalities: Iterable[Modality]) -> tuple[Pair, ...]:
    """Return the pairs among modalities, in a fixed order; a modality alone is a pair with itself."""
    ordered = sorted(modalities)
    return tuple(frozenset(pair) for pair in combinations(ordered, 2)) or (frozenset(ordered),)


def arrange(modality: Modality, pairs: tuple[Pair, ...], vectors: Callable[[Pair], Tensor]) -> Tensor:
    """Lay a modality's vectors into their blocks: (n, dims × pairs), every block of unit norm or zero.

    Args:
        modality: Whose vectors.
        pairs: All pairs in use.
        vectors: The model's vectors (n, dims) for a pair that the modality is in.
    """
    mine = {pair: functional.normalize(vectors(pair).float(), dim=-1) for pair in pairs if modality in pair}
    nothing = torch.zeros_like(next(iter(mine.values())))
    return torch.cat([mine.get(pair, nothing) for pair in pairs], dim=-1)
