"""Train fusion weights on a user's own judged queries or clicks, against a running index or a file of items."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.settings import Settings
from config.vocabulary import ModelRef
from encoders.base import EncoderSet
from fusion.attention_weights import FusionWeights, fusion_weights_of, write_weights
from fusion.index.protocol import VectorIndex
from fusion.learning.card import write_card
from fusion.learning.examples import Example
from fusion.learning.options import FusionOptions
from fusion.learning.train import Tell, train_fusion
from workers.relevance.features import FeatureReader, held_back, modalities_shown, shared_out
from workers.relevance.judged import Judged
from workers.relevance.offline import offline_system

Advance = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is learned from.

    Args:
        judged: Queries with gains.
        clicks: Whether gains are corrected clicks, whose sums differ by query on purpose.
        source: What it is, in a sentence for the card.
        facts: What else the card should tell.
    """

    judged: Sequence[Judged]
    clicks: bool
    source: str
    facts: dict[str, Any]


async def read_examples(
    lesson: Lesson, settings: Settings, items: Path | None, folders: Sequence[Path], advance: Advance
) -> tuple[list[Example], int, ModelRef]:
    """Search for every query, and read what fusion sees of it.

    Args:
        lesson: What is learned from.
        settings: Model, media, and the Redis that holds the items.
        items: Content events to search instead of that Redis.
        folders: Where the files lie: ``file://`` may read them.
        advance: Told of queries done.

    Returns:
        Examples with gains scaled, how many queries taught nothing, and the model they were read with.

    Raises:
        Misconfigured: The items, a query or the model cannot be read.
        RetryLater: Redis cannot be reached.
    """
    async with AsyncExitStack() as stack:
        encoders, index, used = await _opened(settings, items, folders, stack)
        reader = await stack.enter_async_context(FeatureReader(used, encoders, index))
        found, left_out = await reader.examples(lesson.judged, advance)
        return shared_out(found, together=lesson.clicks), left_out, encoders.model


def train_on(
    examples: Sequence[Example],
    lesson: Lesson,
    model: ModelRef,
    options: FusionOptions,
    out: Path,
    *,
    share: float,
    scratch: bool,
    tell: Tell,
) -> FusionWeights:
    """Train on a share of the examples, choose by the others, and write weights and card into ``out``.

    Args:
        examples: From ``read_examples``.
        lesson: For the card.
        model: Whose similarities they hold.
        options: How to train.
        out: Folder, made if missing.
        share: Of the examples that choose the step.
        scratch: Start from chance instead of the weights that ship.
        tell: Told of progress.

    Raises:
        Misconfigured: There are too few examples.
    """
    training, validation = held_back(examples, share, options.seed)
    start = None if scratch else fusion_weights_of_package(model)
    weights = train_fusion(training, validation, options, model, start=start, tell=tell)
    shown = ", ".join(modalities_shown(examples))
    weights = replace(weights, facts={**weights.facts, **lesson.facts, "item_modalities": shown})
    weights = write_weights(weights, out)
    use = f"Set `query.fusion_weights: {out}`, and ask with `fusion.strategy: attention` or set `query.strategy`."
    write_card(weights, out, source=lesson.source, use=use)
    return weights


def fusion_weights_of_package(model: ModelRef) -> FusionWeights:
    """The weights that ship, as this model may use them."""
    from config.settings import QuerySettings

    return fusion_weights_of(QuerySettings(), model)


async def _opened(
    settings: Settings, items: Path | None, folders: Sequence[Path], stack: AsyncExitStack
) -> tuple[EncoderSet, VectorIndex, Settings]:
    if items is not None:
        system = await stack.enter_async_context(offline_system(settings, [*folders, items.parent]))
        await system.index_file(items)
        return system.encoders, system.index, system.settings
    from encoders.registry import load_encoders
    from fusion.index.followed_index import FollowedIndex

    encoders = load_encoders(settings.model)
    index = FollowedIndex(settings.redis, encoders.model, encoders.dims)
    stack.push_async_callback(index.close)
    await index.check()
    allowed = (*settings.media.allowed_folders, *(folder.resolve() for folder in folders))
    media = settings.media.model_copy(update={"allowed_folders": allowed})
    return encoders, index, settings.model_copy(update={"media": media})
