"""Whether a model has a vectors topic and a content group of its own, as ``crosscurrent reindex`` makes them.

The broker says so, by the topic: it outlives a loss of Redis, and needs no setting.
"""

from config.settings import KafkaSettings
from config.vocabulary import ModelRef
from workers.contracts.topics import stream_name, vectors_topic
from workers.streams.publisher import KafkaPublisher


async def stream_of(publisher: KafkaPublisher, settings: KafkaSettings, model: ModelRef) -> str:
    """What topic and group of a model are named after; empty for the first one's.

    Raises:
        RetryLater: The broker does not answer.
    """
    stream = stream_name(model)
    return "" if await publisher.missing([vectors_topic(settings.topic_prefix, stream)]) else stream
