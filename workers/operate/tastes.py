"""Users' tastes in the space of another model, made of their steps and of what its layout holds."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

from config.vocabulary import ItemId, UserId
from fusion.index.layouts import Layout
from fusion.index.redis_index import RedisVectorIndex
from fusion.people.redis_store import RedisPeopleStore
from fusion.people.redis_tastes import RedisTastes, Walked
from workers.contracts.profiles import UserProfile
from workers.contracts.topics import Topic
from workers.operate.layout_desk import LayoutDesk
from workers.operate.rebuild import Tell
from workers.streams.encoding import mean_direction
from workers.streams.publisher import KafkaPublisher
from workers.streams.security import CLIENT_ID
from workers.streams.timing import now_ms
from workers.streams.together import together

_AT_ONCE: Final = 64
_TRIES: Final = 3


async def carry_tastes(desk: LayoutDesk, layout: Layout, tell: Tell, *, publish: bool) -> int:
    """Give every user who took steps a taste in the layout's space, and count them; it may be done again.

    Args:
        desk: Of either model.
        layout: In whose space, and where the items' vectors are.
        tell: Called with a stage, users done and users in all as far as they are known.
        publish: Whether the profiles topic learns of it, which it should once nobody goes back.

    Raises:
        RetryLater: A store or the broker is away.
    """
    settings, space, given, seen = desk.settings, desk.space_of(layout), 0, 0
    async with AsyncExitStack() as stack:
        index = RedisVectorIndex(settings.redis, space.model, space.dims, layout=layout)
        stack.push_async_callback(index.close)
        tastes = RedisTastes(settings.redis, space.model, settings.people.half_life_s)
        stack.push_async_callback(tastes.close)
        people = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
        stack.push_async_callback(people.close)
        publisher = KafkaPublisher(settings.kafka, client_id=CLIENT_ID)
        stack.push_async_callback(publisher.stop)
        async for walked in tastes.everybody(_AT_ONCE):
            adopted = await _adopt(tastes, index, walked)
            given, seen = given + len(adopted), seen + len(walked)
            if publish:
                topic = Topic.PROFILES.named(settings.kafka.topic_prefix)
                await together(_publish(people, publisher, topic, user_id) for user_id in adopted)
            tell("tastes", seen, seen)
    return given


async def _adopt(tastes: RedisTastes, index: RedisVectorIndex, walked: Sequence[Walked]) -> list[UserId]:
    """Who got a taste; whoever acts meanwhile is looked at again."""
    given: list[UserId] = []
    for _ in range(_TRIES):
        wanted: dict[ItemId, None] = dict.fromkeys(step.item_id for each in walked for step in each.steps)
        items = await index.fetch(list(wanted))
        vectors = {item_id: mean_direction(list(item.vectors.values())) for item_id, item in items.items()}
        taken = dict(zip(walked, await tastes.adopt(walked, vectors), strict=True))
        given += [each.user_id for each, is_given in taken.items() if is_given]
        again = await tastes.walked([each.user_id for each, is_given in taken.items() if not is_given])
        walked = [each for each in again if each not in taken]
        if not walked:
            break
    return given


async def _publish(people: RedisPeopleStore, publisher: KafkaPublisher, topic: str, user_id: UserId) -> None:
    """Send a profile, and again if the user acted meanwhile: the worker's record may have come before ours."""
    for _ in range(_TRIES):
        time_ms = now_ms()
        profile = await people.profile(user_id, now_ms=time_ms)
        if profile is None:
            return  # forgotten, which whoever erased it has sent
        as_of = datetime.fromtimestamp(time_ms / 1000, UTC)
        await publisher.send(topic, key=user_id.encode(), value=UserProfile.of(profile, people.model, as_of).to_bytes())
        now = await people.profile(user_id, now_ms=time_ms)
        if now is not None and now.updated_at_ms == profile.updated_at_ms:
            return
