"""Deleting dead letters before their time, where the broker can."""

from collections.abc import Mapping
from dataclasses import dataclass

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.admin import open_admin
from workers.operate.past_records import stretches_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """What a purge deletes: of each partition everything before an offset, so many letters of all that lie there."""

    before: Mapping[int, int]
    letters: int
    kept: int


async def doomed_letters(settings: KafkaSettings, until_ms: int | None) -> Doomed:
    """Find out what would be deleted: each partition's letters up to its first one that is as new as ``until_ms``.

    Args:
        settings: Where the broker is.
        until_ms: In milliseconds since 1970; None for everything.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    stretches = await stretches_before(settings, Topic.DEAD_LETTERS, until_ms)
    return Doomed(
        before={place: before for place, (_, before, _) in stretches.items()},
        letters=sum(before - begin for begin, before, _ in stretches.values()),
        kept=sum(end - before for _, before, end in stretches.values()),
    )


def purge_letters(settings: KafkaSettings, doomed: Doomed) -> None:
    """Delete them from the broker.

    Raises:
        Misconfigured: The broker cannot be reached, or deletes no single records; says what else there is.
    """
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    name = Topic.DEAD_LETTERS.named(settings.topic_prefix)
    with open_admin(settings) as admin:
        try:
            admin.delete_records({TopicPartition(name, place): offset for place, offset in doomed.before.items()})
        except (KafkaError, OSError) as exc:
            raise Misconfigured(
                f"this broker deletes no records of {name} ({type(exc).__name__}: {exc}): shorten their life with "
                f"kafka-configs --alter --topic {name} --add-config retention.ms=…, or delete the topic and create it "
                "with 'crosscurrent topics create'; a user needs the right DELETE on the topic"
            ) from exc
