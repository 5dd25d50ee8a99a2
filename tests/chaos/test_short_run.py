"""The short form of ``make chaos``: one run of every kind of fault, and everything proven after it."""

from pathlib import Path

import pytest

from tests.chaos.plan import Amounts
from tests.chaos.run import Options, Run
from tests.chaos.servers import embedded_servers

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(290)]

# Kills by -9 and TERM, two to one; of Redis's losses the one by a kill; cuts of both servers and a slow Redis.
SHORT = Amounts(events=5000, kills=6, redis_losses=1, network=3, stalls=1, joins=1)


async def test_nothing_is_lost_and_nothing_counts_twice(tmp_path: Path) -> None:
    """Workers die, stall, come and go, Redis comes back empty, connections break: every event ends as it must."""
    async with embedded_servers(tmp_path) as servers:
        report = await Run(Options(seed=1, amounts=SHORT), servers, tmp_path).go()

    assert report.findings.told() == []
    assert report.sent >= SHORT.events
    assert report.ends["killed"] >= 4
    assert report.ends["not live"] >= 1
