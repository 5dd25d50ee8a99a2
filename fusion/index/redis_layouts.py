"""The record of layouts in Redis, the fences that hold writers to it, and the workers that follow it.

A writer may have read the record just before it changed. So every shard has a fence, the oldest generation that may
write there, and each write is refused that comes by an older one (``write_item.lua``): no round trip, and no waiting
for workers that may be anywhere. Whoever adds a layout raises the fences of the live one: from then on whatever is
written there is written to both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.settings import RedisSettings
from config.vocabulary import Modality, ModelRef
from fusion.index.connection import Argument, Command, RedisConnection, Script
from fusion.index.layout import Keys, targets
from fusion.index.layouts import HOME, Layout, LayoutRecord, dump_record, load_record

ALIVE_S: Final = 10
"""A follower that said nothing for so long is taken for gone: it reads the record each second."""

_SET: Final = Script(Path(__file__).with_name("set_layout.lua"))
_FOLLOW: Final = Script(Path(__file__).with_name("follow_layout.lua"))
_FENCE: Final = Script(Path(__file__).with_name("raise_fence.lua"))
_FORGOTTEN_AT_ONCE: Final = 512
_FENCE_KEPT_S: Final = 86_400  # of a dropped layout: longer than any write is under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A worker that follows the record.

    Args:
        name: Its role and a name of its own.
        generation: By which it works; 0 for none.
        seen_s: Seconds since it last said so.
        models: That it can work with, as text; the settings' own first.
    """

    name: str
    generation: int
    seen_s: int
    models: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """What it does."""
        return self.name.partition(":")[0]


class RedisLayouts:
    """Reads and changes the record.

    Args:
        settings: Where Redis is, and where the first layout lies.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        # Of no model: the record is everybody's.
        self._keys = Keys(settings.prefix, settings.shards, ModelRef("layouts", "0"))
        self._connection = RedisConnection(settings)

    def home(self, model: ModelRef) -> Layout:
        """What holds a model's items where the record names no layout for it."""
        return Layout(name=HOME, shards=self._settings.shards, model=model)

    async def read(self) -> LayoutRecord | None:
        """What holds now; None when nothing was ever changed, or Redis was emptied.

        Raises:
            RetryLater: Redis cannot be asked.
            Misconfigured: It is not understood.
        """
        (text,) = await self._connection.ask([("HGET", self._keys.record(), "record")])
        return None if text is None else load_record(text)

    async def follow(self, follower: str, generation: int, models: Sequence[ModelRef]) -> LayoutRecord | None:
        """The same for a worker that tells by which generation it works so far, and which models it holds."""
        keys, held = [self._keys.record(), self._keys.followers()], " ".join(map(str, models))
        (text,) = await self._connection.ask(_FOLLOW.commands([(keys, [follower, generation, held])]))
        return None if text is None else load_record(text)

    async def write(self, record: LayoutRecord) -> bool:
        """Replace the record of the generation before; False when somebody else has changed it."""
        arguments: list[Argument] = [record.generation - 1, record.generation, dump_record(record)]
        (replaced,) = await self._connection.ask(_SET.commands([([self._keys.record()], arguments)]))
        return bool(replaced)

    async def followers(self) -> list[Follower]:
        """Workers that were alive lately, by name; the others are struck off."""
        key = self._keys.followers()
        told, (now_s, _) = await self._connection.ask([("HGETALL", key), ("EVAL", "return redis.call('TIME')", 1, key)])
        found = [_follower(name, said, int(now_s)) for name, said in zip(told[::2], told[1::2], strict=True)]
        if gone := [each.name for each in found if each.seen_s > ALIVE_S]:
            await self._connection.ask([("HDEL", key, *gone)])
        return sorted((each for each in found if each.seen_s <= ALIVE_S), key=lambda each: each.name)

    async def fence(self, layout: Layout, generation: int) -> None:
        """Refuse writes to a layout by older records than this."""
        keys = self._of(layout)
        for shard in range(layout.shards):
            await self._connection.ask(_FENCE.commands([([keys.meta(shard)], [generation])]))

    async def unfence(self, layout: Layout) -> None:
        """Let writers in who know of no record: where the record is lost its fences mean nothing."""
        keys = self._of(layout)
        for shard in range(layout.shards):
            await self._connection.ask([("HDEL", keys.meta(shard), "fence")])

    async def forget(self, layout: Layout, tell: Callable[[int], object] = lambda _: None) -> None:
        """Delete all that a layout holds of its model, but for the fences, which keep late writers out.

        Args:
            layout: One that no record names any more.
            tell: Called with the items deleted so far.
        """
        keys, done = self._of(layout), 0
        for shard in range(layout.shards):
            await self._connection.ask([("UNLINK", keys.vectors(shard, target)) for target in targets(Modality)])
            async for names in self._connection.scan(f"{keys.tag(shard)}:item:*", _FORGOTTEN_AT_ONCE):
                commands: list[Command] = [("HDEL", name, *keys.item_fields()) for name in names]
                await self._connection.ask(commands)
                tell(done := done + len(names))
            if layout.name != HOME:  # where the first layout was people are still
                await self._connection.ask([("EXPIRE", keys.meta(shard), _FENCE_KEPT_S)])

    def _of(self, layout: Layout) -> Keys:
        return Keys(self._settings.prefix, layout.shards, layout.model, layout.name)

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close()


def _follower(name: bytes, said: bytes, now_s: int) -> Follower:
    at_s, generation, models = said.decode().split(":", 2)
    return Follower(
        name=name.decode(),
        generation=int(generation),
        seen_s=max(0, now_s - int(at_s)),
        models=tuple(models.split()),
    )
