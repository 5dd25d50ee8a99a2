"""``crosscurrent demo``: the whole system on real servers and real input, in minutes, leaving nothing behind."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule

from config.errors import CrosscurrentError
from config.vocabulary import ResultStatus, Role
from encoders.builtin.corpus import Corpus
from encoders.registry import describe
from workers.operate.cli_options import Options
from workers.operate.client import AsyncClient
from workers.operate.demo_report import DemoReport
from workers.operate.demo_script import chosen_items, content_events, interaction_events, questions
from workers.operate.scrape import Buckets, between, milliseconds
from workers.operate.show import print_result
from workers.operate.system import System
from workers.operate.up import narrated, print_addresses, stopping_on_signals, wait_for_the_end

_POLL_S: Final = 0.25
_PROBES: Final = 50  # enough for a p99 that is not just the slowest
_ASKED_AT_ONCE: Final = 8
_PATIENCE_MS: Final = 120_000  # a machine may be busy with other things
_PATIENT: Final = {"deadline_ms": _PATIENCE_MS}
_INDEX_TIMEOUT_S: Final = 900.0
_SEARCHABLE: Final = "crosscurrent_event_to_searchable_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What was asked for on the command line."""

    options: Options
    profile: str | None = None
    limit: int | None = None
    keep: bool = False
    json_file: Path | None = None


def run_demo(plan: DemoPlan, out: Console, notes: Console) -> bool:
    """Run the demo and print it; returns whether everything went as it should."""
    started = time.monotonic()
    corpus = Corpus()
    with (
        stopping_on_signals(),
        tempfile.TemporaryDirectory(prefix="crosscurrent-demo-") as folder,
        narrated(notes) as step,
        System(Path(folder), plan.options, profile=plan.profile, on_step=step) as system,
    ):
        step("")
        demo = _Demo(plan, system, corpus, out, notes)
        report = asyncio.run(demo.run())
        report.total_seconds = time.monotonic() - started
        report.settle()
        _conclude(report, plan, out)
        if plan.keep:
            print_addresses(system, out)
            wait_for_the_end(system)
    return report.good


def _conclude(report: DemoReport, plan: DemoPlan, out: Console) -> None:
    out.print()
    out.print(Rule("summary", align="left", style="dim"))
    out.print(report.summary())
    for problem in report.problems:
        out.print(f"problem: {problem}", style="bold red", markup=False)
    if plan.json_file is not None:
        report.write(plan.json_file)


class _Demo:
    """The steps, one after the other, filling the report."""

    def __init__(self, plan: DemoPlan, system: System, corpus: Corpus, out: Console, notes: Console) -> None:
        self._system = system
        self._corpus = corpus
        self._out = out
        self._notes = notes
        self._items = chosen_items(corpus, plan.limit)
        self._report = DemoReport()

    async def run(self) -> DemoReport:
        """All steps."""
        if not self._notes.is_terminal:  # no bars there: say at least what takes its time
            self._notes.print(f"publishing {len(self._items)} items, then asking")
        async with AsyncClient(self._system.settings) as client:
            await self._publish_corpus(client)
            await self._publish_interactions(client)
            await self._measure_single_events(client)
            await self._ask(client)
            await self._measure_single_queries(client)
            await self._find_every_item(client)
        self._read_final_numbers()
        return self._report

    async def _publish_corpus(self, client: AsyncClient) -> None:
        started = time.monotonic()
        before = self._searchable()
        with _progress(self._notes) as bar:
            published = bar.add_task("published", total=len(self._items))
            indexed = bar.add_task("searchable", total=len(self._items))
            events = content_events(self._corpus, self._items)
            sending = asyncio.create_task(client.publish_many(events, lambda: bar.advance(published)))
            try:
                await self._until_handled(Role.CONTENT, len(self._items), lambda n: bar.update(indexed, completed=n))
                self._report.published = await sending
            finally:
                sending.cancel()
        self._report.content_indexed = self._outcomes(Role.CONTENT, "done")
        self._report.index_seconds = time.monotonic() - started
        self._report.backlog_ms = milliseconds(between(self._searchable(), before))

    async def _publish_interactions(self, client: AsyncClient) -> None:
        events = interaction_events(self._corpus, self._items)
        self._report.interactions = await client.publish_many(events)
        await self._until_handled(Role.INTERACTIONS, len(events), lambda _: None)

    async def _measure_single_events(self, client: AsyncClient) -> None:
        """Publish some items again, one at a time: how long an event takes when nothing waits before it."""
        before, handled = self._searchable(), self._handled(Role.CONTENT)
        for event in itertools.islice(content_events(self._corpus, self._items), _PROBES):
            await client.publish(event)
            handled += 1
            await self._until_handled(Role.CONTENT, handled, lambda _: None, poll_s=0.02)
        self._report.event_to_searchable_ms = milliseconds(between(self._searchable(), before))

    async def _ask(self, client: AsyncClient) -> None:
        encoded = describe(self._system.settings.model).profile.modalities
        for number, question in enumerate(questions(self._corpus), start=1):
            if lacking := [modality for modality in question.modalities if modality not in encoded]:
                self._out.print(f"\n{number}. {question.title}: not asked, this profile encodes no {lacking[0]}")
                continue
            asked = time.monotonic()
            result = await client.query(question.query, timeout_s=_PATIENCE_MS / 1000)
            latency_ms = (time.monotonic() - asked) * 1000
            self._report.answered(question, result, latency_ms)
            self._out.print()
            print_result(self._out, result, title=f"{number}. {question.title}", notes=f"{latency_ms:.0f} ms here")

    async def _measure_single_queries(self, client: AsyncClient) -> None:
        """Ask for some items by their names, one at a time: how long a query takes when nothing waits before it."""
        before = self._query_seconds()
        for item_id in itertools.islice(self._items, _PROBES):
            name = self._corpus.items[item_id].name
            await client.query({"kind": "search", "parts": [{"modality": "text", "text": name}], **_PATIENT})
        self._report.query_ms = milliseconds(between(self._query_seconds(), before))

    async def _find_every_item(self, client: AsyncClient) -> None:
        """Ask for the neighbours of each item: an item that is not in the index would be unknown.

        Among pictures alone, which takes 40 % of the CPU time of a search in everything: there are 1,900 to ask.
        """
        started = time.monotonic()
        turn = asyncio.Semaphore(_ASKED_AT_ONCE)
        with _progress(self._notes) as bar:
            task = bar.add_task("found by similar", total=len(self._items))

            async def found(item_id: str) -> bool:
                async with turn:
                    query = {"kind": "similar", "item_id": item_id, "k": 1, "search_in": ["image"]}
                    result = await client.query(query | _PATIENT, timeout_s=_PATIENCE_MS / 1000)
                bar.advance(task)
                return result.status is ResultStatus.OK and bool(result.hits)

            self._report.similar_found = sum(await asyncio.gather(*map(found, self._items)))
        self._report.similar_seconds = time.monotonic() - started

    def _read_final_numbers(self) -> None:
        self._system.check()
        self._report.dead_letters = sum(self._outcomes(role, "dead_letter") for role in Role)

    async def _until_handled(
        self, role: Role, count: int, on_progress: Callable[[int], object], *, poll_s: float = _POLL_S
    ) -> None:
        """Wait until a worker has ended so many events, whichever way.

        Raises:
            CrosscurrentError: It takes too long, or something died.
        """
        deadline = time.monotonic() + _INDEX_TIMEOUT_S
        while (handled := await asyncio.to_thread(self._handled, role)) < count:
            self._system.check()
            if time.monotonic() > deadline:
                msg = f"the {role} worker handled {handled} of {count} events in {_INDEX_TIMEOUT_S:g} s"
                raise CrosscurrentError(msg)
            on_progress(handled)
            await asyncio.sleep(poll_s)
        on_progress(count)

    def _handled(self, role: Role) -> int:
        return int(self._system.workers[role].metrics().total("crosscurrent_events_total"))

    def _outcomes(self, role: Role, outcome: str) -> int:
        return int(self._system.workers[role].metrics().total("crosscurrent_events_total", outcome=outcome))

    def _query_seconds(self) -> Buckets:
        return self._system.workers[Role.QUERIES].metrics().buckets("crosscurrent_query_seconds", stage="total")

    def _searchable(self) -> Buckets:
        return self._system.workers[Role.CONTENT].metrics().buckets(_SEARCHABLE)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:>16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield progress
