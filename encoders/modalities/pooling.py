"""Passages of several inputs in one batch: laid end to end for the device, averaged back input by input."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

T_co = TypeVar("T_co", covariant=True)


class Passages(Protocol[T_co]):
    """The passages of one input: a list, or an array whose first axis counts them."""

    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...


def flatten(groups: Sequence[Passages[T_co]]) -> tuple[list[T_co], list[int]]:
    """Return all passages in order, and how many each input has."""
    return [passage for group in groups for passage in group], [len(group) for group in groups]


def average(vectors: Tensor, counts: Sequence[int]) -> Tensor:
    """Average vectors (passages, dims), each first brought to unit norm, over each input: (len(counts), dims)."""
    unit = functional.normalize(vectors.float(), dim=-1)
    owners = torch.repeat_interleave(torch.tensor(counts)).to(unit.device)
    return unit.new_zeros(len(counts), unit.shape[1]).index_add_(0, owners, unit)
