"""What was counted before, read back from the ``tag-counts`` topic."""

import logging
from collections.abc import Iterable, Iterator, Sequence

from config.errors import RejectEvent
from config.settings import KafkaSettings
from workers.contracts.parse import parse_event
from workers.contracts.tag_counts import TAG_COUNTS, TagCounts
from workers.streams.topic_reader import TopicReader

log = logging.getLogger(__name__)


class KafkaHistory:
    """Reads the partition of the topic that holds the records of a partition of the content topic.

    Args:
        topic: Full name of the topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic

    async def read(self, partition: int) -> Sequence[TagCounts]:
        """Every record of a partition of the content topic.

        Raises:
            RetryLater: The broker is away, or has no such topic.
        """
        async with TopicReader(self._settings, self._topic, only=partition) as reader:
            return [record for record in parsed(await reader.to_the_end()) if record.partition == partition]


def parsed(values: Iterable[bytes]) -> Iterator[TagCounts]:
    """The records among these values; what is none is passed over and logged."""
    for value in values:
        try:
            yield parse_event(value, TAG_COUNTS)
        except RejectEvent as exc:
            log.warning("a record among the tag counts is none: %s", exc)
