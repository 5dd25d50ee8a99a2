"""Another number of shards while queries are answered: a second layout, filled from the vectors topic.

No encoder is loaded: what content workers wrote since is there already, and versions make the two orders agree.
"""

from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial

import numpy as np

from config.errors import Misconfigured
from fusion.index import relayout
from fusion.index.layouts import LayoutRecord
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.recalibration import in_effect
from workers.operate.layout_comparison import Comparison, compare, questions_from_items, questions_of
from workers.operate.layout_desk import LayoutDesk
from workers.operate.past_records import past_batches
from workers.operate.rebuild import Tell, topic_of
from workers.operate.refill import Refill, Refilled
from workers.streams.timing import now_ms


async def fill(desk: LayoutDesk, shards: int, tell: Tell) -> Refilled:
    """Let a layout with so many shards follow the stream, and write into it what the vectors topic holds.

    Ended half way it is gone on with by the same call: what is there already costs a comparison an item.

    Args:
        desk: Of the model whose index it is.
        shards: How many.
        tell: Called with a stage, records done and records in all.

    Raises:
        Misconfigured: There is a second layout already, the live one is like that, or something does not fit.
        RetryLater: Redis is away.
    """
    settings, space = desk.settings, desk.space
    if (live := (await desk.status()).live).model != space.model:
        raise Misconfigured(f"the live layout is {live}, and the settings name {space.model}: set model.profile to it")
    new = replace(live, name=relayout.fresh_name(), shards=shards)
    record = await desk.patience.bear(lambda: relayout.begin(desk.layouts, settings.redis, live, new, space.dims))
    done = await fill_from_topic(desk, record, tell)
    await relayout.finish(desk.layouts, record)
    return done


async def fill_from_topic(desk: LayoutDesk, record: LayoutRecord, tell: Tell) -> Refilled:
    """Write into the layout that is being filled what the vectors topic of its model holds.

    Raises:
        Misconfigured: The broker cannot be reached, or the layout is no more.
        RetryLater: Redis is away.
    """
    settings = desk.settings
    topic = await topic_of(settings, desk.space_of(record.second or record.live))
    async with desk.open(record) as (_, other):
        refill = Refill(other, desk.patience)
        async with aclosing(past_batches(settings.kafka, topic, partial(tell, "items"))) as batches:
            async for batch in batches:
                await refill.add(batch)
    return refill.done


async def compare_layouts(desk: LayoutDesk, count: int) -> Comparison:
    """Ask both layouts what people asked lately, and what is like their items where that is not enough.

    Raises:
        Misconfigured: There is one layout only, or they are of two models.
        RetryLater: Redis is away.
    """
    settings, space, record = desk.settings, desk.space, await desk.two()
    if len(record.of(space.model)) < 2:
        raise Misconfigured("the layouts are of two models: 'crosscurrent reindex --compare' asks both")
    async with desk.open(record) as (live, other), AsyncExitStack() as stack:
        store = RedisCalibrationStore(settings.redis, space.model, space.dims)
        stack.push_async_callback(store.close)
        table = in_effect(await store.read(), now_ms())
        asked = await store.remembered(now_ms=now_ms())
        questions = questions_of(asked, count, np.random.default_rng())
        questions += await questions_from_items(live, count - len(questions))
        return await compare(live, other, questions, {} if table is None else table.backgrounds)
