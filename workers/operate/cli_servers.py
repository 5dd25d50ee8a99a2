"""``crosscurrent worker``, ``up`` and ``demo``: what runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from config.vocabulary import Role
from workers.operate.cli_options import options_of
from workers.operate.console import ExitCode, output, progress_console
from workers.operate.kafka_server import DEFAULT_HEAP_MB, LEAST_HEAP_MB

_Profile = Annotated[str | None, typer.Option(help="Model profile, such as builtin; the settings decide otherwise.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(up)
    app.command()(worker)


def worker(
    ctx: typer.Context,
    role: Annotated[Role, typer.Argument(help="What it does.")],
    port: Annotated[int | None, typer.Option(help="Port of /metrics, /live and /ready; 0 takes a free one.")] = None,
    announce: Annotated[Path | None, typer.Option(help="File to write its address to, as JSON.", hidden=True)] = None,
) -> None:
    """Run one worker until it is told to stop (SIGTERM, Ctrl-C)."""
    # Before numpy is imported. Its products here are small: two threads of OpenBLAS took five times the CPU time of
    # one on two cores (a query's 757 candidates: 29 ms against 6 ms). torch has its own threads (model.threads).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from config.settings import load_settings
    from workers.streams.main import run_worker

    options = options_of(ctx)
    overrides = {**options.overrides, **({} if port is None else {"metrics": {"port": port}})}
    raise typer.Exit(run_worker(role, load_settings(options.config, overrides), announce))


def up(
    ctx: typer.Context,
    *,
    external: Annotated[
        bool, typer.Option("--external", help="Use the settings' broker and Redis instead of embedded ones.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder that keeps everything over restarts; in memory only without one.")
    ] = None,
    kafka_heap_mb: Annotated[
        int, typer.Option(help="With --data: memory of Apache Kafka's JVM for objects, in MiB.", min=LEAST_HEAP_MB)
    ] = DEFAULT_HEAP_MB,
    profile: _Profile = None,
    logs: Annotated[Path | None, typer.Option(help="Folder for the logs; DIR/logs or a temporary one.")] = None,
) -> None:
    """Run servers and all three workers on this machine until Ctrl-C.

    Without --data the servers keep everything in memory only, and it is gone afterwards. With --data DIR events,
    vectors and profiles are there again at the next start, after any end. That needs Apache Kafka: unpack a release
    (4.0 or newer) and let KAFKA_HOME name its folder, and have Java 17 or newer in JAVA_HOME or on PATH.
    """
    if data and external:
        raise typer.BadParameter("--data keeps what embedded servers hold: leave out --external")
    from workers.operate.up import UpPlan, run_up

    plan = UpPlan(external=external, data=data, heap_mb=kafka_heap_mb, profile=profile, logs=logs)
    raise typer.Exit(run_up(options_of(ctx), plan, output()))


def demo(
    ctx: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up afterwards, until Ctrl-C.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write what was seen to this file.")] = None,
    profile: _Profile = None,
    limit: Annotated[int | None, typer.Option(help="Publish only so many items; for a quick look.", min=20)] = None,
) -> None:
    """Show the whole system on the built-in corpus: publish, interact, ask, measure; then leave nothing behind."""
    from workers.operate.demo import DemoPlan, run_demo

    plan = DemoPlan(options=options_of(ctx), profile=profile, limit=limit, keep=keep, json_file=json_file)
    good = run_demo(plan, output(), progress_console())
    raise typer.Exit(ExitCode.OK if good else ExitCode.TROUBLE)
