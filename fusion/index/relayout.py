"""Changes of the layouts as sequences of steps, each of which may be the last one: whoever comes next goes on.

Adding one:
1. fences of the live layout are there, so that writers who read the new record are let in, and so are older ones;
2. the new layout has its fences, its number of shards and its epoch;
3. the record names it: whoever reads it from now on writes to both;
4. the fences of the live layout rise: whoever has not read it is refused, reads it, and writes to both.
From here on nothing is written to the live layout alone. What was written there before stands on the vectors topic
already, because content workers publish first: so the topic, read from here on to its end, completes the new layout.

Dropping one: the record says so, all fences rise, who read it is waited for, and then its keys are deleted.
"""

import secrets
from collections.abc import Callable

from config.errors import Misconfigured
from config.settings import RedisSettings
from fusion.index.layouts import Layout, LayoutRecord, OtherState, begun, dropped, filled, flipped, forgotten
from fusion.index.redis_index import RedisVectorIndex
from fusion.index.redis_layouts import RedisLayouts


async def begin(layouts: RedisLayouts, settings: RedisSettings, live: Layout, new: Layout, dims: int) -> LayoutRecord:
    """Let a second layout follow the stream; one like it that is being filled already is gone on with.

    Args:
        layouts: The record.
        settings: Where Redis is.
        live: What answers where there is no record; where there is one it adds how its model is loaded.
        new: How the second one is to be; ``fresh_name`` names it.
        dims: Length of the new one's vectors.

    Raises:
        Misconfigured: There is a second one of another kind, or Redis does not fit.
        RetryLater: Redis is away.
    """
    before = await layouts.read()
    record = before if before is not None and _same(before, new) else begun(before, live, new)
    await layouts.fence(record.live, 0)
    await _prepare(settings, record.other or new, dims, record.generation)
    if record is not before:
        await replace(layouts, record)
    await layouts.fence(record.live, record.generation)
    return record


def _same(record: LayoutRecord, new: Layout) -> bool:
    other = record.other
    alike = other is not None and (other.shards, other.model) == (new.shards, new.model)
    return alike and record.state is OtherState.FILLING


async def _prepare(settings: RedisSettings, layout: Layout, dims: int, generation: int) -> None:
    index = RedisVectorIndex(settings, layout.model, dims, layout=layout)
    try:
        await index.check_by(generation)
    finally:
        await index.close()


async def finish(layouts: RedisLayouts, record: LayoutRecord) -> LayoutRecord:
    """The layout that was being filled may be flipped to.

    Raises:
        Misconfigured: Somebody else changed the layouts meanwhile.
    """
    return await replace(layouts, filled(record))


async def flip(layouts: RedisLayouts, wanted: OtherState) -> LayoutRecord:
    """Let the other layout answer: forward to a filled one, or back to the previous one.

    Raises:
        Misconfigured: There is none such, or somebody else changed the layouts meanwhile.
    """
    return await replace(layouts, flipped(await layouts.read(), wanted))


async def drop(layouts: RedisLayouts) -> LayoutRecord:
    """Stop writing to the layout that does not answer. Once nobody reads it any more, ``forget`` it.

    Raises:
        Misconfigured: There is one layout only, or somebody else changed the layouts meanwhile.
    """
    before = await layouts.read()
    record = dropped(before)
    if record is not before:
        await replace(layouts, record)
    for layout in (record.live, record.other):
        if layout is not None:
            await layouts.fence(layout, record.generation)
    return record


async def forget(
    layouts: RedisLayouts, record: LayoutRecord, tell: Callable[[int], object] = lambda _: None
) -> LayoutRecord:
    """Delete a dropped layout; ``tell`` is called with the items deleted so far.

    Raises:
        Misconfigured: Somebody else changed the layouts meanwhile.
    """
    if record.other is not None:
        await layouts.forget(record.other, tell)
    return await replace(layouts, forgotten(record))


async def replace(layouts: RedisLayouts, record: LayoutRecord) -> LayoutRecord:
    """Write a record over the one it was made of.

    Raises:
        Misconfigured: That is not there any more.
    """
    if not await layouts.write(record):
        raise Misconfigured("somebody else changed the layouts at this moment: see --status, and try again")
    return record


def fresh_name() -> str:
    """A name that no layout of this Redis has or had: keys of a dropped one may be deleted still."""
    return secrets.token_hex(4)
