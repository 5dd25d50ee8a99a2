"""Another model while queries are answered: a second layout, filled by content workers of that model from the topic.

The command encodes nothing itself: it names the layout, waits for the workers, and compares.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from config.errors import Misconfigured
from encoders.identity import identify
from fusion.index import relayout
from fusion.index.layouts import Layout, LayoutRecord, OtherState
from workers.contracts.topics import stream_name, vectors_spec
from workers.operate.admin import create_topic
from workers.operate.content_progress import content_behind
from workers.operate.layout_desk import LayoutDesk
from workers.operate.rebuild import Tell
from workers.operate.reshard import fill_from_topic
from workers.operate.tastes import carry_tastes
from workers.streams.compose_queries import model_settings

_FOR_EVER_S = float("inf")


async def begin(desk: LayoutDesk, profile: str, heads: str | None) -> LayoutRecord:
    """Let a layout of another model follow the stream; content workers of that model may be started from here on.

    Args:
        desk: Of the model that answers now.
        profile: Of the new model, as ``model.profile`` names it.
        heads: Its alignment heads, as ``model.heads`` names them; None for none.

    Raises:
        Misconfigured: There is a second layout of another kind, the model is the live one, or something does not fit.
        RetryLater: Redis is away.
    """
    settings, model = desk.settings, desk.settings.model
    status = await desk.status()
    if status.live.model != desk.space.model:
        raise Misconfigured(f"the index is of {status.live.model}, and the settings name {desk.space.model}")
    new = Layout(
        name=relayout.fresh_name(),
        shards=status.live.shards,
        model=status.live.model,
        profile=profile,
        heads=heads or "",
    )
    space = identify(model_settings(model, new))
    new = replace(new, model=space.model)
    if space.model == desk.space.model:
        raise Misconfigured(
            f"profile {profile} is {space.model}, as the index is: give a changed model a version of its own"
        )
    topic = vectors_spec(settings.kafka, stream_name(space.model))
    await asyncio.to_thread(create_topic, settings.kafka, topic)
    live = replace(status.live, profile=model.profile, heads=model.heads or "")
    return await desk.patience.bear(lambda: relayout.begin(desk.layouts, settings.redis, live, new, space.dims))


async def until_filled(desk: LayoutDesk, record: LayoutRecord, tell: Tell) -> None:
    """Wait until the new model's content workers have come to where the topic ended when asked; carry tastes over.

    What they made for an earlier layout, that was dropped or lost, is on their vectors topic and comes from there: the
    group does not read again what it is done with.

    Raises:
        Misconfigured: The broker cannot be reached, or somebody else changed the layouts meanwhile.
    """
    if record.second is None or record.state is not OtherState.FILLING:
        return
    await fill_from_topic(desk, record, tell)
    told: Callable[[int, int], object] = partial(tell, "events")
    await content_behind(desk.settings, record.second.model, patience_s=_FOR_EVER_S, tell=told)
    await carry_tastes(desk, record.second, tell, publish=False)
    await relayout.finish(desk.layouts, record)


async def flip(desk: LayoutDesk, tell: Tell) -> None:
    """Let the filled layout answer, whichever model's it is; tastes are carried over once more before.

    Raises:
        Misconfigured: See ``LayoutDesk.flip``.
        RetryLater: A store is away.
    """
    record = (await desk.status()).record
    if record is not None and record.state is OtherState.FILLED and record.second is not None and _changes(record):
        await carry_tastes(desk, record.second, tell, publish=False)
    await desk.flip()


async def drop(desk: LayoutDesk, tell: Tell) -> None:
    """Give up the layout that does not answer; where its model was the one before, tastes are carried over for good.

    Raises:
        Misconfigured: See ``LayoutDesk.drop``.
        RetryLater: A store or the broker is away.
    """
    record = (await desk.status()).record
    await desk.expect_no_model_lost()
    if record is not None and record.state is OtherState.PREVIOUS and _changes(record):
        await carry_tastes(desk, record.live, tell, publish=True)
    await desk.drop()


def _changes(record: LayoutRecord) -> bool:
    return record.other is not None and record.other.model != record.live.model
