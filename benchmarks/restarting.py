"""What a restart of ``crosscurrent up --data`` changes and takes, and what keeping everything costs.

Run: ``KAFKA_HOME=… .venv/bin/python benchmarks/restarting.py [--items N] [--queries 200] [--profile builtin]``

Runs the built-in corpus on a data folder, asks, and ends it in three ways (Ctrl-C, ``kill -9`` of everything, a Redis
whose files are gone), asking the same after each. Then it measures one event and one question at a time on the data
folder and on servers that keep everything in memory.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from rebuilding import ask, compare, questions, until_measured
from rich.console import Console

from config.settings import Settings, load_settings
from encoders.builtin.corpus import Corpus
from workers.operate.client import AsyncClient
from workers.operate.demo_script import chosen_items, content_events

CONSOLE: Final = Console()
SINGLE: Final = 100
Up = subprocess.Popen[bytes]


@contextmanager
def running(folder: Path, config: Path, *, data: Path | None, profile: str) -> Iterator[tuple[Up, Settings]]:
    """``crosscurrent up``, ready, with the settings of whoever uses it; killed at the end if it still runs."""
    log = folder / "up.log"
    words = ["--config", str(config), "up", "--profile", profile, *(["--data", str(data)] if data else [])]
    with log.open("wb") as output:
        began = time.perf_counter()
        up = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "workers.operate", *words], stdout=output, stderr=subprocess.STDOUT
        )
    while "running; Ctrl-C stops it" not in (told := log.read_text()):
        if up.poll() is not None:
            raise SystemExit(told)
        time.sleep(0.05)
    CONSOLE.print(f"ready after {time.perf_counter() - began:.1f} s")
    exported = dict(
        line.split("export CROSSCURRENT_")[1].split("=", 1) for line in told.splitlines() if "export" in line
    )
    servers = {
        "kafka": {"bootstrap_servers": exported["KAFKA__BOOTSTRAP_SERVERS"]},
        "redis": {"url": exported["REDIS__URL"]},
    }
    try:
        yield up, load_settings(config, {**servers, "model": {"profile": profile}})
    finally:
        up.kill()
        up.wait()


def stop(up: Up, how: signal.Signals) -> None:
    """Send a signal and wait for the end."""
    began = time.perf_counter()
    up.send_signal(how)
    code = up.wait()
    CONSOLE.print(f"{how.name}: ended with {code} after {time.perf_counter() - began:.1f} s")


def memory_mb(up: Up) -> dict[str, float]:
    """Resident memory of the two servers, in mebibytes."""
    listed = subprocess.run(["ps", "-eo", "ppid,pid,rss,comm"], capture_output=True, text=True, check=True)  # noqa: S607
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()[1:]]
    guards = {pid for parent, pid, _, _ in rows if parent == str(up.pid)}
    return {name: int(rss) / 1024 for parent, _, rss, name in rows if parent in guards and "python" not in name}


def size_mb(folder: Path) -> float:
    """What a folder takes of its disk, in mebibytes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*")) / 2**20


async def asked(settings: Settings, wanted: list[dict[str, Any]]) -> list[list[tuple[str, float]]]:
    """Ids and scores of all questions."""
    async with AsyncClient(settings) as client:
        return await ask(client, wanted)


async def fill(settings: Settings, corpus: Corpus, item_ids: list[str]) -> None:
    """Publish the corpus and wait until it is there and calibrated."""
    began = time.perf_counter()
    async with AsyncClient(settings) as client:
        await client.publish_many(content_events(corpus, item_ids))
    await until_measured(settings, len(item_ids))
    CONSOLE.print(f"{len(item_ids)} items published, encoded and calibrated in {time.perf_counter() - began:.0f} s")


async def one_by_one(settings: Settings) -> str:
    """Publishing an event until it is confirmed, and a question from its record to its result, in milliseconds."""
    publishing, asking = [], []
    async with AsyncClient(settings) as client:
        for number in range(SINGLE):
            event = {
                "type": "content.upsert",
                "item_id": f"n-{number}",
                "modalities": {"text": {"text": f"boat {number}"}},
            }
            began = time.perf_counter()
            await client.publish(event)
            publishing.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(5)
        for number in range(SINGLE):
            began = time.perf_counter()
            await client.search(f"boat {number}")
            asking.append((time.perf_counter() - began) * 1000)
    return " ".join(
        f"{name} p50 {statistics.median(times):.1f} ms, p95 {statistics.quantiles(times, n=20)[-1]:.1f} ms;"
        for name, times in (("confirmed", publishing), ("answered", asking))
    )


def restarts(folder: Path, config: Path, corpus: Corpus, item_ids: list[str], *, queries: int, profile: str) -> None:
    """Ask before and after each way to stop."""
    data = folder / "data"
    wanted = questions(corpus, item_ids, queries)
    with running(folder, config, data=data, profile=profile) as (up, settings):
        asyncio.run(fill(settings, corpus, item_ids))
        before = asyncio.run(asked(settings, wanted))
        CONSOLE.print(f"the same asked twice: {compare(before, asyncio.run(asked(settings, wanted)))}")
        CONSOLE.print(f"resident: {json.dumps(memory_mb(up))} MiB; on disk {size_mb(data):.0f} MiB")
        stop(up, signal.SIGINT)
    for how in (signal.SIGKILL, signal.SIGTERM):
        with running(folder, config, data=data, profile=profile) as (up, settings):
            CONSOLE.print(f"after it: {compare(before, asyncio.run(asked(settings, wanted)))}")
            stop(up, how)
    shutil.rmtree(data / "redis")
    with running(folder, config, data=data, profile=profile) as (up, settings):
        CONSOLE.print(f"after Redis was lost: {compare(before, asyncio.run(asked(settings, wanted)))}")
        CONSOLE.print(f"on disk: {asyncio.run(one_by_one(settings))}")
        stop(up, signal.SIGINT)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--profile", default="builtin")
    given = parser.parse_args()
    corpus = Corpus()
    item_ids = list(chosen_items(corpus, given.items))
    with tempfile.TemporaryDirectory(prefix="crosscurrent-restarting-", dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        config = folder / "settings.yaml"
        config.write_text(yaml.safe_dump({"query": {"calibration_refresh_s": 3600.0}}))
        restarts(folder, config, corpus, item_ids, queries=given.queries, profile=given.profile)
        with running(folder, config, data=None, profile=given.profile) as (up, settings):
            asyncio.run(fill(settings, corpus, item_ids))
            CONSOLE.print(f"in memory: {asyncio.run(one_by_one(settings))}")
            stop(up, signal.SIGINT)


if __name__ == "__main__":
    main()
