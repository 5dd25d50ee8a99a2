"""What the command line prints, and how it ends when something is wrong: one clear line, a code, no traceback."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from config.errors import CrosscurrentError, Misconfigured, RejectEvent

if TYPE_CHECKING:
    from rich.table import Table

_MOST_TOLD = 20
_PIPED_WIDTH = 120  # a file or pipe has no width of its own; tables should not be folded at 80 there


class ExitCode(IntEnum):
    """How the command ends."""

    OK = 0
    TROUBLE = 1
    USAGE = 2
    MISCONFIGURED = 78  # EX_CONFIG of sysexits.h
    INTERRUPTED = 130


def output() -> Console:
    """Console on standard output: results and nothing else, so that it can be piped."""
    return _console(stderr=False)


def progress_console() -> Console:
    """Console on standard error: progress, notes and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _PIPED_WIDTH, highlight=False)


def show_report(report: Mapping[str, Any], table: "Table", *, as_json: bool) -> None:
    """Print a report as JSON or as its table."""
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        output().print(table)


def tell_problems(problems: Sequence[str]) -> None:
    """Print what was left out, the first of it in full."""
    notes = progress_console()
    for problem in problems[:_MOST_TOLD]:
        notes.print(problem, markup=False, soft_wrap=True)
    if problems:
        notes.print(f"{len(problems)} lines or parts were left out", style="bold yellow")


def report(error: CrosscurrentError) -> None:
    """Print an expected error on standard error: one line, or one a problem."""
    console = progress_console()
    if isinstance(error, Misconfigured) and len(error.problems) > 1:
        console.print(f"error: {len(error.problems)} problems", style="bold red", markup=False, soft_wrap=True)
        for problem in error.problems:
            console.print(f"  - {problem}", markup=False, soft_wrap=True)
        return
    console.print("[bold red]error:[/]", end=" ")
    console.print(str(error), markup=False, soft_wrap=True)


def code_of(error: CrosscurrentError) -> ExitCode:
    """Exit code of an expected error."""
    if isinstance(error, Misconfigured):
        return ExitCode.MISCONFIGURED
    # Events are refused before they are sent only when somebody typed them.
    return ExitCode.USAGE if isinstance(error, RejectEvent) else ExitCode.TROUBLE


class Commands(TyperGroup):
    """A group of commands whose expected errors end in a line and a code, and Ctrl-C in a plain 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CrosscurrentError as exc:
            report(exc)
            raise typer.Exit(code_of(exc)) from exc
        except KeyboardInterrupt as exc:
            progress_console().print("interrupted")
            raise typer.Exit(ExitCode.INTERRUPTED) from exc
