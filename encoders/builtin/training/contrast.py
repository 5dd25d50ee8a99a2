"""The loss that brings a concept's pictures and texts together, and the measure of how well that went."""

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -1e4


def alignment_loss(
    *,
    images: Tensor,
    concepts: Tensor,
    texts: Tensor,
    text_rows: Tensor,
    queue: Tensor,
    queue_concepts: Tensor,
    scale: Tensor,
) -> Tensor:
    """Return the symmetric cross-entropy between pictures and texts (InfoNCE, van den Oord et al., 2018).

    Every picture is told from the texts of all concepts, every text from the batch's pictures and the queue's
    (Wang et al., "Cross-Batch Memory", 2020). A keyword that several concepts share is no negative of theirs.

    Args:
        images: Unit vectors of shape (n, d).
        concepts: Concept of each picture, of shape (n,), all different.
        texts: One unit vector for every concept, of shape (concepts, d).
        text_rows: Which text each is, of shape (concepts,).
        queue: Earlier pictures' unit vectors, without gradients, of shape (q, d).
        queue_concepts: Their concepts, of shape (q,).
        scale: Inverse temperature.
    """
    to_texts = scale * images @ texts.T
    shared = text_rows[None, :] == text_rows[concepts][:, None]
    shared[torch.arange(len(concepts)), concepts] = False
    bank = torch.cat([images, queue])
    owners = torch.cat([concepts, queue_concepts])
    to_images = scale * texts[concepts] @ bank.T
    excused = text_rows[owners][None, :] == text_rows[concepts][:, None]
    own = torch.arange(len(concepts))
    excused[own, own] = False
    return 0.5 * (
        functional.cross_entropy(to_texts.masked_fill(shared, MASKED), concepts)
        + functional.cross_entropy(to_images.masked_fill(excused, MASKED), own)
    )


def name_loss(*, images: Tensor, names: Tensor, owners: Tensor, scale: Tensor) -> Tensor:
    """Return the symmetric cross-entropy between pictures and names that each belong to one picture or none.

    Args:
        images: Unit vectors of shape (n, d).
        names: Unit vectors of shape (m, d), all different names.
        owners: Row of each picture's name, of shape (n,), all different.
        scale: Inverse temperature.
    """
    scores = scale * images @ names.T
    own = torch.arange(len(owners))
    return 0.5 * (functional.cross_entropy(scores, owners) + functional.cross_entropy(scores[:, owners].T, own))


def recall_at(queries: Tensor, gallery: Tensor, ranks: tuple[int, ...] = (1, 5, 10)) -> dict[int, float]:
    """Return the share of queries whose own row of the gallery is among the nearest k, for each k.

    Args:
        queries: Unit vectors of shape (n, d).
        gallery: Unit vectors of shape (n, d); row i is the answer to query i.
        ranks: The values of k.
    """
    similarities = queries @ gallery.T
    place = (similarities > similarities.diagonal()[:, None]).sum(dim=1)
    return {k: float((place < k).float().mean()) for k in ranks}
