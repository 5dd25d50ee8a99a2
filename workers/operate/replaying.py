"""Sending dead letters again, none of them twice: not by a second run, nor after a first one was killed half way.

The steps for each batch of letters, in this order and no other:

1. **Claim**: a mark for each letter, with where its origin's partition ends now, confirmed by the broker.
2. **Send** the events with a header that names their letter, each confirmed.
3. **Note** that they are sent: a second mark for each, confirmed.

A run that finds a claim alone does not know whether step 2 took place, so it looks: the event lies on the origin topic
behind the claim's offset, with the letter's name in its header, or it was not sent.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from config.errors import Misconfigured, RejectEvent
from config.settings import KafkaSettings
from workers.contracts.parse import parse_event
from workers.contracts.replays import REPLAY_HEADER, REPLAYED, LetterPlace, ReplayMark, ReplayState
from workers.contracts.topics import Topic
from workers.operate.dead_letters import REFUSABLE, Letter, Marks
from workers.operate.past_records import PastRecord, ends_of, past_records
from workers.operate.restored import RestoredEvent, restored_event
from workers.streams.records import Publisher
from workers.streams.together import together

_BATCH_LETTERS: Final = 256
_BATCH_BYTES: Final = 16 * 2**20  # letters may be megabytes


@dataclass(slots=True, kw_only=True)
class Report:
    """What became of the letters of a run.

    Args:
        sent: Sent and confirmed now; in a dry run, what would be.
        before: Passed over, because they were sent before.
        found: Of these, what a run that was killed had sent without noting it.
        given_up: Left, because they were refused too often.
        problems: Letters that cannot be sent again, each with the reason.
    """

    sent: int = 0
    before: int = 0
    found: int = 0
    given_up: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Which letters of a selection are sent.

    Args:
        again: Also those that were sent before.
        most_attempts: Not those of events that were refused so often already: a replay in vain makes a new letter, so
            without an end a replay of everything would never be done with an event that cannot be served.
    """

    again: bool = False
    most_attempts: int = 5

    def leave(self, letter: Letter, marks: Marks, report: Report) -> bool:
        """Whether a letter is not sent, which is counted."""
        if not self.again and marks.sent(letter) is not None:
            report.before += 1
        elif letter.letter.attempts >= self.most_attempts:
            report.given_up += 1
        else:
            return False
        return True


class Replayer:
    """Sends letters again.

    Args:
        settings: Where the broker is and how topics are called.
        publisher: Sends events and marks, each confirmed.
        marks: What is known of replays so far.
        terms: Which letters are sent.
    """

    def __init__(self, settings: KafkaSettings, publisher: Publisher, marks: Marks, terms: Terms) -> None:
        self._settings = settings
        self._publisher = publisher
        self._marks = marks
        self._terms = terms
        self._topics = {topic.named(settings.topic_prefix): topic for topic in REFUSABLE}
        self.report = Report()

    async def run(self, letters: AsyncIterator[Letter], on_batch: Callable[[], object] = lambda: None) -> Report:
        """Send letters again, those of one key in their order.

        Args:
            letters: Which ones.
            on_batch: Called after each batch of which everything is noted.

        Raises:
            RetryLater: The broker did not confirm; run it again, it goes on from there.
            Misconfigured: The broker cannot be reached, or a topic is missing.
        """
        await self._settle_claims()
        batch: list[RestoredEvent] = []
        size = 0
        async for letter in letters:
            if self._terms.leave(letter, self._marks, self.report) or (event := await self._event(letter)) is None:
                continue
            batch.append(event)
            size += len(event.value or b"")
            if len(batch) >= _BATCH_LETTERS or size >= _BATCH_BYTES:
                await self._send(batch)
                on_batch()
                batch, size = [], 0
        await self._send(batch)
        return self.report

    async def _event(self, letter: Letter) -> RestoredEvent | None:
        """The event as it was, with the header; None, and a problem told, when it cannot be sent again."""
        try:
            return await restored_event(self._settings, letter, self._topics)
        except Misconfigured as exc:
            self.report.problems.append(f"{letter.place}: {exc}")
            return None

    async def _send(self, events: Sequence[RestoredEvent]) -> None:
        if not events:
            return
        ends = await ends_of(self._settings, sorted({event.topic for event in events}))
        claims = [self._claim(event, ends) for event in events]
        await together(self._mark(claim) for claim in claims)  # step 1
        sent = await together(self._send_one(event) for event in events)  # step 2
        confirmed = [claim for claim, is_sent in zip(claims, sent, strict=True) if is_sent]
        await together(self._mark(_sent(claim)) for claim in confirmed)  # step 3
        self.report.sent += len(confirmed)

    def _claim(self, event: RestoredEvent, ends: dict[tuple[Topic, int], int]) -> ReplayMark:
        origin = event.letter.letter.origin
        before = self._marks.sent(event.letter)
        return ReplayMark(
            occurred_at=datetime.now(UTC),
            letter=event.letter.place,
            origin=origin,
            state=ReplayState.CLAIMED,
            from_offset=ends.get((event.topic, origin.partition), 0),
            times=1 if before is None else before.times_sent + 1,
        )

    async def _send_one(self, event: RestoredEvent) -> bool:
        """Send an event to where it came from; another client may have chosen its partition by another rule."""
        origin = event.letter.letter.origin
        try:
            await self._publisher.send(
                origin.topic, key=event.key, value=event.value, headers=event.headers, partition=origin.partition
            )
        except RejectEvent as exc:  # it was just small enough without the header
            self.report.problems.append(f"{event.letter.place}: {exc}")
            return False
        return True

    async def _settle_claims(self) -> None:
        """Find out which claims of a run that ended half way were sent, and note those."""
        claims = {claim.letter: claim for claim in self._marks.claims() if claim.origin.topic in self._topics}
        for topic in sorted({self._topics[claim.origin.topic] for claim in claims.values()}):
            name = topic.named(self._settings.topic_prefix)
            starts: dict[int, int] = {}
            for claim in claims.values():
                if claim.origin.topic == name:
                    place = claim.origin.partition
                    starts[place] = min(claim.from_offset, starts.get(place, claim.from_offset))
            async for record in past_records(self._settings, topic, starts=starts):
                if (fulfilled := _claim_of(record, claims, name)) is not None:
                    await self._mark(_sent(fulfilled))
                    self.report.found += 1

    async def _mark(self, mark: ReplayMark) -> None:
        topic = Topic.REPLAYS.named(self._settings.topic_prefix)
        await self._publisher.send(topic, key=str(mark.letter).encode(), value=mark.to_bytes())
        self._marks.add(mark)


def _sent(claim: ReplayMark) -> ReplayMark:
    return claim.model_copy(update={"state": ReplayState.SENT, "occurred_at": datetime.now(UTC)})


def _claim_of(record: PastRecord, claims: dict[LetterPlace, ReplayMark], topic: str) -> ReplayMark | None:
    """The claim that a record on the origin topic fulfils; it is taken out, so that it is found once."""
    try:
        replayed = parse_event(record.headers.get(REPLAY_HEADER), REPLAYED)
    except RejectEvent:
        return None
    claim = claims.get(replayed.letter)
    if claim is None or claim.origin.topic != topic or record.offset < claim.from_offset:
        return None
    return claims.pop(replayed.letter)
