"""What a user is on to now: the steps of the current visit, and the direction they point in.

The long profile is a sum that is kept; the short one is made of the last few steps when it is read. So it does not
depend on the order of arrival, an item that is indexed after it was clicked counts from then on, and a new model needs
no history of its own.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import ItemId
from fusion.people.decay import decayed
from fusion.people.layout import profile_direction
from fusion.people.protocol import Step


def current_visit(steps: Sequence[Step], *, now_ms: int, timeout_s: float) -> list[Step]:
    """The steps of the visit that is going on, newest first; none when its last step is longer ago than the timeout.

    A visit is what shares the newest session id. Where one of two steps has none, a pause of at most ``timeout_s``
    keeps them together (half an hour is what web analytics count by).

    Args:
        steps: Newest first.
        now_ms: In milliseconds since 1970.
        timeout_s: The pause that ends a visit.
    """
    if not steps or now_ms - steps[0].occurred_at_ms > timeout_s * 1000:
        return []
    visit: list[Step] = []
    session_id: str | None = None
    earliest_ms = steps[0].occurred_at_ms
    for step in steps:
        told = session_id is not None and step.session_id is not None
        near = earliest_ms - step.occurred_at_ms <= timeout_s * 1000
        if step.session_id == session_id if told else near:
            visit.append(step)
            earliest_ms = step.occurred_at_ms
            session_id = session_id or step.session_id
    return visit


def direction_of(
    steps: Sequence[Step], vectors: Mapping[ItemId, NDArray[np.float32]], *, half_life_s: float
) -> NDArray[np.float32] | None:
    """The unit vector of shape (dims,) of the decayed, weighted sum of the steps' items; None without a direction.

    Args:
        steps: Newest first; those whose items are in no vector are passed over.
        vectors: Each item's unit vector of shape (dims,).
        half_life_s: After this long a step counts half; counted back from the newest, so that the direction stands
            still while the user does.
    """
    total: NDArray[np.float64] | None = None
    for step in steps:
        if (vector := vectors.get(step.item_id)) is None:
            continue
        weight = decayed(
            step.weight, from_ms=step.occurred_at_ms, to_ms=steps[0].occurred_at_ms, half_life_s=half_life_s
        )
        total = weight * vector.astype(np.float64) + (0.0 if total is None else total)
    return profile_direction(total)
