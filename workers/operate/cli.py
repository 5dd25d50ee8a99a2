"""The ``crosscurrent`` command: global options here, the commands in ``cli_*.py``, heavy libraries inside them."""

from pathlib import Path
from typing import Annotated

import typer

from workers.operate import (
    cli_admin,
    cli_behaviour,
    cli_letters,
    cli_letters_change,
    cli_model,
    cli_publish,
    cli_query,
    cli_rebuild,
    cli_reindex,
    cli_reshard,
    cli_servers,
    cli_summarize,
    cli_tags,
)
from workers.operate.cli_options import Options
from workers.operate.console import Commands, output

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Streaming cross-modal search and recommendation: events into Kafka, ranked results out.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from workers.streams.metrics import package_version

        output().print(f"crosscurrent {package_version()}")
        raise typer.Exit


@app.callback()
def _global_options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (YAML); CROSSCURRENT_… variables beat it.", dir_okay=False)
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    ctx.obj = Options(config=config, log_level=log_level.upper() if log_level else None)


for _module in (
    cli_servers, cli_publish, cli_query, cli_summarize, cli_tags, cli_admin, cli_rebuild, cli_reindex, cli_reshard,
    cli_model, cli_behaviour, cli_letters, cli_letters_change,
):  # fmt: skip
    _module.register(app)


def main() -> None:
    """Entry point of the ``crosscurrent`` command."""
    app(prog_name="crosscurrent")
