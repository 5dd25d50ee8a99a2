"""Where people are kept in Redis, and how much of them."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Action, ItemId, ModelRef, UserId
from fusion.people.protocol import Interaction, Profile, Step

TRENDS_KEPT: Final = 10_000
"""Items with the highest decayed weights; the rest of a long tail is forgotten first."""

COVISITS_KEPT: Final = 100
"""Partners of each item; cut back to this once there are twice as many, so that a new pair has time to grow."""

PARTNERS_COUNTED: Final = 50
"""Items touched last that one touch is paired with: bounds the work of a script."""

IDLE_HALF_LIVES: Final = 20.0
"""After this many half-lives without an action a user's keys expire: a millionth of the profile is left."""

_FLOAT64 = np.dtype("<f8")

_TIGHT: Final = (",", ":")
_BEHAVIOUR = ("user", "user-events", "user-history", "user-touches", "user-steps")
_SERVED = ("user-served", "user-served-order", "user-weights")


def idle_ms(half_life_s: float) -> int:
    """After how long without an action a user's keys expire, in milliseconds."""
    return max(int(half_life_s * 1000.0 * IDLE_HALF_LIVES), 1)


@dataclass(frozen=True, slots=True)
class PeopleKeys:
    """Names of the keys. A user's keys, and the trends and pairs that users of a shard made, share its hash tag.

    So one script counts an interaction everywhere at once, also in Redis Cluster. The kind comes before the id: ids are
    free text, and no user can be named like another one's key.
    """

    prefix: str
    shards: int
    model: ModelRef

    def shard_of(self, user_id: UserId) -> int:
        """The shard that a user lives in."""
        return zlib.crc32(user_id.encode()) % self.shards

    def tag(self, shard: int) -> str:
        """What all keys of a shard start with."""
        return f"{{{self.prefix}:{shard}}}"

    def user(self, user_id: UserId) -> list[str]:
        """A user's profile, event ids, history, latest touches and steps."""
        return self._of(user_id, _BEHAVIOUR)

    def served(self, user_id: UserId) -> list[str]:
        """What a user was shown by query, the queries in order, and the user's weights of the modalities."""
        return self._of(user_id, _SERVED)

    def everything(self, user_id: UserId) -> list[str]:
        """All that is kept under the id."""
        return [*self.user(user_id), *self.served(user_id)]

    def _of(self, user_id: UserId, kinds: Sequence[str]) -> list[str]:
        tag = self.tag(self.shard_of(user_id))
        return [f"{tag}:{kind}:{user_id}" for kind in kinds]

    def served_users(self, shard: int) -> str:
        """Users to whom something was shown lately, by time."""
        return f"{self.tag(shard)}:served-users"

    def weights(self, shard: int) -> str:
        """What the clicks of the shard's users taught of the modalities' weights."""
        return f"{self.tag(shard)}:weights"

    def forgotten(self, user_id: UserId) -> str:
        """When the user was forgotten, under a digest: the id itself is erased too."""
        return f"{self.tag(self.shard_of(user_id))}:forgotten:{sha256(user_id.encode()).hexdigest()}"

    def trends(self, shard: int) -> str:
        """Items by forward-decayed log2 weight."""
        return f"{self.tag(shard)}:trends"

    def covisits(self, shard: int, item_id: ItemId) -> str:
        """Partners of an item by count."""
        return f"{self.tag(shard)}:covisit:{item_id}"


def pack_profile(vector: NDArray[np.floating]) -> bytes:
    """A vector of shape (dims,) as float64, little endian: sums over years keep their digits."""
    return np.asarray(vector, _FLOAT64).tobytes()


def unpack_profile(packed: bytes) -> NDArray[np.float64]:
    """Read what ``pack_profile`` wrote."""
    return np.frombuffer(packed, _FLOAT64)


def is_step(interaction: Interaction) -> bool:
    """Whether an action tells something of a taste: also a rating in the middle, not what was merely shown."""
    return interaction.weight != 0 or interaction.action is Action.RATE


def pack_step(interaction: Interaction) -> str:
    """An action as a member of the sorted set of steps, whose score is its time; the event's id makes it unique."""
    fields = [interaction.event_id, interaction.item_id, interaction.weight, interaction.session_id]
    return json.dumps(fields, ensure_ascii=False, separators=_TIGHT)


def pack_restored(steps: Sequence[Step]) -> dict[str, int]:
    """Steps, newest first, whose events' ids are lost: members with their times, that sort as the steps do."""
    return {
        json.dumps(
            [f"~{-place:06d}", step.item_id, step.weight, step.session_id], ensure_ascii=False, separators=_TIGHT
        ): step.occurred_at_ms
        for place, step in enumerate(steps, start=-len(steps))
    }


def touches_of(profile: Profile) -> dict[ItemId, int]:
    """When the items that were liked lately were last: what the next touch is paired with."""
    liked = sorted((step.occurred_at_ms, step.item_id) for step in profile.steps if step.weight > 0)
    return {item_id: at_ms for at_ms, item_id in liked}


def unpack_step(member: bytes | str, occurred_at_ms: int) -> Step:
    """Read what ``pack_step`` wrote."""
    _, item_id, weight, session_id = json.loads(member)
    return Step(item_id=ItemId(item_id), weight=weight, occurred_at_ms=occurred_at_ms, session_id=session_id)


def profile_direction(total: NDArray[np.float64] | None) -> NDArray[np.float32] | None:
    """The unit vector of a sum; None without one, or where likes and dislikes cancel out."""
    if total is None or (length := float(np.linalg.norm(total))) < 1e-9:
        return None
    return np.asarray(total / length, np.float32)
