"""Vectors of items from nothing but who acted on what near what: for logs that come without content.

Positive pointwise mutual information of items near each other in a user's history, factored by its largest singular
values: what word2vec's skip-gram does to words (Levy, Goldberg 2014), and item2vec to items (Barkan, Koenigstein 2016).
"""

from collections import defaultdict
from typing import Any

import numpy as np

from fusion.learning.interaction_log import InteractionLog, Vectors

WINDOW = 5
"""Items before each that count as near it."""


def vectors_of_log(log: InteractionLog, until: int, *, dims: int = 64, seed: int = 0) -> Vectors:
    """Unit vectors of the items liked among the first ``until`` interactions; the others get none.

    Args:
        log: The log.
        until: How many interactions may be looked at.
        dims: Length of the vectors; less where there are fewer items.
        seed: Of the factorisation's start.
    """
    from scipy.sparse.linalg import svds

    matrix = _mutual_information(log, until)
    wanted = min(dims, max(1, matrix.shape[0] - 1))
    start = np.random.default_rng(seed).standard_normal(matrix.shape[0])
    left, values, _ = svds(matrix, k=wanted, v0=start)
    rows = left * np.sqrt(values)
    lengths = np.linalg.norm(rows, axis=1)
    return {
        log.item_ids[item]: (rows[item] / lengths[item]).astype(np.float32)
        for item in np.flatnonzero(lengths > 1e-8).tolist()
    }


def _mutual_information(log: InteractionLog, until: int) -> Any:
    """Sparse matrix of shape (items, items): log of how much oftener two are near than by chance, 0 where not."""
    from scipy.sparse import csr_matrix

    latest: dict[int, list[int]] = defaultdict(list)
    pairs: list[tuple[int, int]] = []
    positives = log.positives()
    for user, item in zip(log.users[:until][positives[:until]], log.items[:until][positives[:until]], strict=True):
        near = latest[int(user)]
        pairs += [pair for other in near for pair in ((other, int(item)), (int(item), other))]
        near.append(int(item))
        del near[:-WINDOW]
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    size = len(log.item_ids)
    counts = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    totals = np.asarray(counts.sum(axis=1)).ravel()
    places = counts.nonzero()
    chance = totals[places[0]] * totals[places[1]] / max(totals.sum(), 1.0)
    told = np.maximum(np.log(np.asarray(counts[places]).ravel() / chance), 0.0)
    return csr_matrix((told, places), shape=(size, size))
