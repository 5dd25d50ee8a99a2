"""What a query worker answers with, of the settings' model and of any other one that the record of layouts names."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from config.errors import Misconfigured
from config.settings import ModelSettings, Settings
from config.vocabulary import ModelRef
from fusion.index.layouts import Layout
from fusion.index.protocol import VectorIndex
from workers.contracts.topics import Topic
from workers.streams.calibration import CalibrationKeeper, CalibrationSource, FixedCalibration
from workers.streams.layouts import LiveHandler, ModelParts
from workers.streams.metrics import Metrics

if TYPE_CHECKING:
    from fusion.learning.sequence import SequenceNetwork
    from workers.streams.queries import QueryHandler


def live_handler(
    settings: Settings, shared: dict[str, Any], metrics: Metrics, stack: AsyncExitStack
) -> tuple[LiveHandler, CalibrationKeeper | None]:
    """The handler of a query worker, and who keeps the table of the settings' model; None where it is fixed.

    Args:
        settings: Read and validated.
        shared: What handlers share; ``batcher`` and ``index`` are of the settings' model.
        metrics: Told what is measured.
        stack: Closes what was opened.

    Raises:
        Misconfigured: A trained model cannot be read, or is of another space.
    """
    sequence = _sequence(settings, shared["batcher"].encoders.model)
    own, keeper = _parts(settings, shared, metrics, stack, sequence)

    async def load(layout: Layout) -> ModelParts:
        other = settings.model_copy(update={"model": model_settings(settings.model, layout)})
        loaded = await _loaded(other, layout, metrics, stack)
        return _parts(other, {**shared, **loaded}, metrics, stack)[0]

    handler = LiveHandler(own, load)
    stack.callback(handler.close)
    return handler, keeper


def model_settings(settings: ModelSettings, layout: Layout) -> ModelSettings:
    """Settings that load a layout's model; weights of dimensions belong to the settings' own and are left out."""
    changes = {"profile": layout.profile, "heads": layout.heads or None, "dimension_weights": None}
    return settings.model_copy(update=changes)


async def _loaded(settings: Settings, layout: Layout, metrics: Metrics, stack: AsyncExitStack) -> dict[str, Any]:
    from encoders.batching import DeviceBatcher
    from encoders.registry import load_encoders
    from fusion.index.followed_index import FollowedIndex

    encoders = await asyncio.to_thread(load_encoders, settings.model)
    if encoders.model != layout.model:
        raise Misconfigured(f"profile {layout.profile} is {encoders.model} here, and {layout.model} where it was begun")
    metrics.runs(encoders.model)
    batcher = DeviceBatcher(encoders, settings.model, observer=metrics)
    stack.push_async_callback(batcher.close)
    index = FollowedIndex(settings.redis, encoders.model, encoders.dims)
    stack.push_async_callback(index.close)
    return {"batcher": batcher, "index": index}


def _parts(
    settings: Settings,
    shared: dict[str, Any],
    metrics: Metrics,
    stack: AsyncExitStack,
    sequence: "SequenceNetwork | None" = None,
) -> tuple[ModelParts, CalibrationKeeper | None]:
    from fusion.people.redis_store import RedisPeopleStore
    from workers.streams.queries import QueryHandler

    encoders = shared["batcher"].encoders
    keeper = _keeper(settings, shared, metrics, stack)
    calibration: CalibrationSource = keeper or FixedCalibration(encoders.calibration)
    people = RedisPeopleStore(settings.redis, settings.people, encoders.model, encoders.dims)
    stack.push_async_callback(people.close)

    def of(index: VectorIndex, layout: str) -> "QueryHandler":
        return QueryHandler(
            **{**shared, "index": index},
            people=people,
            calibration=calibration,
            settings=settings.query,
            behaviour=settings.people,
            sequence=sequence,
            results_topic=Topic.RESULTS.named(settings.kafka.topic_prefix),
            layout=layout or None,
        )

    return ModelParts(index=shared["index"], of=of, upkeep=None if keeper is None else keeper.run), keeper


def _keeper(
    settings: Settings, shared: dict[str, Any], metrics: Metrics, stack: AsyncExitStack
) -> CalibrationKeeper | None:
    """Who keeps the table that all query workers share; None where the model's own is to stand."""
    from fusion.index.redis_calibration import RedisCalibrationStore
    from workers.streams.calibration_topic import KafkaCalibrationHistory, KeptCalibrationStore

    if settings.query.calibration_refresh_s == 0:
        return None
    index, topic = shared["index"], Topic.CALIBRATION.named(settings.kafka.topic_prefix)
    store = RedisCalibrationStore(settings.redis, index.model, index.dims)
    stack.push_async_callback(store.close)
    history = KafkaCalibrationHistory(settings.kafka, topic)
    kept = KeptCalibrationStore(store, model=index.model, history=history, publisher=shared["publisher"], topic=topic)
    return CalibrationKeeper(
        index=index,
        store=kept,
        prior=shared["batcher"].encoders.calibration,
        refresh_s=settings.query.calibration_refresh_s,
        metrics=metrics,
    )


def _sequence(settings: Settings, model: ModelRef) -> "SequenceNetwork | None":
    """The trained sequence model, if one is named.

    Raises:
        Misconfigured: It cannot be read, or was trained in another model's space.
    """
    from fusion.learning.sequence import SequenceNetwork

    folder = settings.people.sequence_model
    network = SequenceNetwork.load(folder) if folder is not None else None
    if network is not None and network.model != model:
        raise Misconfigured(
            f"people.sequence_model: {folder} was trained on vectors of {network.model or 'a file'}, these are of "
            f"{model}: train it again with 'crosscurrent train sequence'"
        )
    return network
