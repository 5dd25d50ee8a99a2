"""The pages say what is so."""

import json
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest

from config.errors import Misconfigured
from config.settings import MetricsSettings
from config.vocabulary import Role
from workers.streams.health import HealthServer, Readiness
from workers.streams.metrics import Metrics

ANY_PORT = MetricsSettings(port=0)


class Pages:
    """A served worker whose state is set by hand."""

    def __init__(self) -> None:
        self.readiness = Readiness("broker", "group")
        self.stalled: Sequence[str] = []
        self.metrics = Metrics(Role.CONTENT)
        self.server = HealthServer(
            ANY_PORT, metrics=self.metrics.exposition, stalled=lambda: self.stalled, readiness=self.readiness
        )

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.server.port}{path}") as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    """Pages on a free port."""
    served = Pages()
    await served.server.start()
    yield served
    await served.server.stop()


async def test_metrics_are_served_as_prometheus_reads_them(pages: Pages) -> None:
    """Every counter is there from the start, at zero."""
    status, text = await pages.get("/metrics")

    assert status == 200
    assert 'crosscurrent_events_total{outcome="done",role="content"} 0.0' in text


async def test_ready_names_what_is_missing(pages: Pages) -> None:
    """503 with the reasons until every condition is met, and again when one is lost."""
    pages.readiness.lost("broker", "no broker at localhost:9092")
    status, text = await pages.get("/ready")
    assert status == 503
    assert json.loads(text)["waiting_for"] == {"broker": "no broker at localhost:9092", "group": "starting"}

    pages.readiness.met("broker")
    pages.readiness.met("group")
    assert (await pages.get("/ready"))[0] == 200

    pages.readiness.lost("dependencies", "redis is away")
    assert (await pages.get("/ready"))[0] == 503


async def test_live_fails_only_when_stalled(pages: Pages) -> None:
    """Not being ready is no reason for a restart; standing still is, and the page says where."""
    assert (await pages.get("/live"))[0] == 200

    pages.stalled = ["content[0] stands at offset 5"]
    status, text = await pages.get("/live")

    assert status == 503
    assert "content[0]" in text


async def test_a_taken_port_is_the_operators_to_change(pages: Pages) -> None:
    """The message names the setting and the way out."""
    taken = MetricsSettings(port=pages.server.port)
    second = HealthServer(taken, metrics=bytes, stalled=list, readiness=Readiness())

    with pytest.raises(Misconfigured, match=r"metrics\.port.*0 picks a free one"):
        await second.start()
