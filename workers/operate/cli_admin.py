"""``crosscurrent topics``, ``schema`` and ``doctor``: what an operator asks before and while running it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.operate.cli_options import options_of, settings_of
from workers.operate.console import Commands, ExitCode, output

if TYPE_CHECKING:
    from workers.operate.admin import TopicState

_topics = typer.Typer(cls=Commands, no_args_is_help=True, help="The topics on the broker.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_topics, name="topics")
    app.command()(schema)
    app.command()(doctor)


@_topics.command("create")
def create(ctx: typer.Context) -> None:
    """Create the topics that are missing; those that exist are left as they are."""
    from workers.operate.admin import create_topics

    _show_topics(create_topics(settings_of(ctx).kafka))


@_topics.command("list")
def list_(ctx: typer.Context) -> None:
    """List the topics, and how they differ from the settings; ends with 1 when they do."""
    from workers.operate.admin import list_topics

    _show_topics(list_topics(settings_of(ctx).kafka))


def _show_topics(states: "list[TopicState]") -> None:
    from rich.table import Table

    table = Table("topic", "partitions", "kept", "state", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for state in states:
        trouble = state.differences
        kept = _kept(state.spec.retention_ms)
        if state.spec.compacted:
            kept = "last of each key" + ("" if state.spec.retention_ms < 0 else f", {kept}")
        told = "[red]" + "\n".join(trouble) + "[/]" if trouble else "[green]as it should be[/]"
        table.add_row(state.spec.name, str(state.partitions or "-"), kept, told)
    output().print(table)
    if any(state.differences for state in states):
        raise typer.Exit(ExitCode.TROUBLE)


def _kept(retention_ms: int) -> str:
    from workers.contracts.topics import DAY_MS

    return "for ever" if retention_ms < 0 else f"{retention_ms / DAY_MS:g} days"


def schema(
    out: Annotated[Path | None, typer.Option(help="Folder for the documents; printed when left out.")] = None,
) -> None:
    """Write the JSON Schemas and the AsyncAPI document of all events, and the page of settings, from the code."""
    from workers.contracts.schema import asyncapi, write_documents

    if out is not None:
        for path in write_documents(out):
            typer.echo(str(path))
        return
    import yaml

    typer.echo(yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120))


def doctor(ctx: typer.Context) -> None:
    """Check settings, broker, topics, Redis, model and device; say what to do about each trouble."""
    from rich.table import Table
    from rich.text import Text

    from workers.operate.doctor import examine

    options = options_of(ctx)
    table = Table("check", "", "finding", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    findings = examine(options.config, options.overrides)
    for finding in findings:
        style = "green" if finding.good else "bold red"
        detail = finding.detail + (f"\n→ {finding.way_out}" if finding.way_out else "")
        table.add_row(finding.check, Text("ok" if finding.good else "trouble", style=style), Text(detail))
    output().print(table)
    if not all(finding.good for finding in findings):
        raise typer.Exit(ExitCode.TROUBLE)
