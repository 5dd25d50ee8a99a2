"""``python -m tests.chaos``: a run of any length, its report, and status 1 when something is not proven."""

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.chaos.apache import SETTINGS, apache_servers
from tests.chaos.plan import Amounts
from tests.chaos.report import Report
from tests.chaos.run import Options, Run
from tests.chaos.servers import Servers, embedded_servers, given_broker


def main(
    *,
    events: Annotated[int, typer.Option(help="Events sent.")] = 100_000,
    kills: Annotated[int, typer.Option(help="Workers killed or stopped; each is a rebalance too.")] = 50,
    redis_losses: Annotated[int, typer.Option(help="Redis killed or flushed, and rebuilt.")] = 5,
    network: Annotated[int, typer.Option(help="Cuts, hangs and delays of connections.")] = 10,
    stalls: Annotated[int, typer.Option(help="Workers that stop fetching in silence.")] = 3,
    joins: Annotated[int, typer.Option(help="Workers that join and leave.")] = 6,
    broker_kills: Annotated[int, typer.Option(help="Brokers killed and brought back; of Apache Kafka alone.")] = 5,
    workers: Annotated[int, typer.Option(help="Workers of each role.")] = 2,
    brokers: Annotated[
        str, typer.Option(help="Your own broker, as host:port[,…]: it is left in peace, and its topics stay.")
    ] = "",
    replication: Annotated[int, typer.Option(help="Copies of each partition there.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed, the same events and the same faults.")] = 1,
    logs: Annotated[Path | None, typer.Option(help="Folder for logs; a temporary one by default.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File to write the report to.")] = None,
) -> None:
    """Shake the system and prove that nothing is lost and nothing counts twice.

    On the embedded broker; with KAFKA_HOME, the folder of an unpacked Apache Kafka, on three brokers of it.
    """
    console = Console()
    for library in ("aiokafka", "workers"):  # both tell of every cut, in plenty
        logging.getLogger(library).setLevel(logging.CRITICAL)
    home = Path(given) if (given := os.environ.get("KAFKA_HOME")) and not brokers else None
    overrides = {"kafka": {"replication_factor": replication}} if brokers else SETTINGS if home else {}
    amounts = Amounts(
        events=events,
        kills=kills,
        redis_losses=redis_losses,
        network=network,
        stalls=stalls,
        joins=joins,
        broker_kills=broker_kills if home else 0,
        broker_network=not (home or brokers),
    )
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crosscurrent-chaos-") as temporary:
        folder = logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(
            _run(
                Options(seed=seed, amounts=amounts, workers=workers, overrides=overrides),
                _servers(brokers, home, folder),
                folder,
                lambda what: console.print(f"{time.monotonic() - began_s:6.1f} s  {what}", highlight=False),
            )
        )
    for table in report.tables():
        console.print(table)
    for line in report.findings.told():
        console.print(line, style="bold red", markup=False)
    if markdown:
        markdown.write_text(report.markdown() + "\n", encoding="utf-8")
    raise typer.Exit(0 if report.holds else 1)


def _servers(brokers: str, home: Path | None, folder: Path) -> AbstractAsyncContextManager[Servers]:
    if brokers:
        return given_broker(brokers, folder)
    return apache_servers(home, folder) if home else embedded_servers(folder)


async def _run(
    options: Options, opening: AbstractAsyncContextManager[Servers], folder: Path, tell: Callable[[str], object]
) -> Report:
    async with opening as servers:
        return await Run(options, servers, folder, tell).go()


if __name__ == "__main__":
    typer.run(main)
