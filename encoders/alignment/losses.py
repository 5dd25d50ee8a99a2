"""What trained alignment minimises: pairs together, others apart.

Every function takes unit vectors of two modalities whose rows belong together, and a mask of pairs that are no
negatives because they mean the same, such as two items with the same text.
"""

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -1e4


def softmax_loss(left: Tensor, right: Tensor, same: Tensor, scale: Tensor, *, hardness: float = 0.0) -> Tensor:
    """Return the symmetric cross-entropy (Radford et al., "Learning Transferable Visual Models", 2021).

    Args:
        left: Unit vectors of shape (n, d).
        right: Unit vectors of shape (n, d).
        same: bool of shape (n, n); True off the diagonal where two rows mean the same.
        scale: Inverse temperature.
        hardness: Above 0, negatives count more the nearer they are: each is weighted by exp(hardness times its cosine),
            scaled to a mean of 1 (Robinson et al., "Contrastive Learning with Hard Negative Samples", 2021).
    """
    cosines = left @ right.T
    scores = scale * cosines + _hard_weights(cosines, same, hardness).log()
    scores = scores.masked_fill(same & ~_own(same), MASKED)
    target = torch.arange(len(scores))
    return 0.5 * (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target))


def sigmoid_loss(
    left: Tensor, right: Tensor, same: Tensor, scale: Tensor, *, bias: Tensor, hardness: float = 0.0
) -> Tensor:
    """Return the pairwise sigmoid loss (Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023).

    Every pair is judged by itself, so it does not depend on the batch's size; arguments as for ``softmax_loss``.

    Args:
        left: Unit vectors of shape (n, d).
        right: Unit vectors of shape (n, d).
        same: bool of shape (n, n).
        scale: Inverse temperature.
        bias: What a pair's score is before anything is known: negative, for most pairs do not belong together.
        hardness: As for ``softmax_loss``.
    """
    cosines = left @ right.T
    own = _own(same)
    losses = -functional.logsigmoid(torch.where(own, 1.0, -1.0) * (scale * cosines + bias))
    weights = _hard_weights(cosines, same, hardness).masked_fill(same & ~own, 0.0)
    return (losses * weights).sum() / len(left)


def quantisation_loss(vectors: Tensor) -> Tensor:
    """Return how far unit vectors (n, d) are from corners of the cube: 0 when the signs alone tell everything.

    After the binary codes of Siamese and deep hashing networks (Liu et al., "Deep Supervised Hashing", 2016; Cao et
    al., "HashNet", 2017).
    """
    loss: Tensor = (vectors.abs() * vectors.shape[1] ** 0.5 - 1.0).square().mean()
    return loss


def _own(same: Tensor) -> Tensor:
    return torch.eye(len(same), dtype=torch.bool)


def _hard_weights(cosines: Tensor, same: Tensor, hardness: float) -> Tensor:
    if hardness == 0.0:
        return torch.ones_like(cosines)
    negatives = ~(same | _own(same))
    weights = (hardness * cosines.detach()).exp() * negatives
    mean = weights.sum() / negatives.sum().clamp(min=1)
    return torch.where(negatives, weights / mean, 1.0)
