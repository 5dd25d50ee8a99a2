"""``crosscurrent publish``: events from JSON lines, and a person's own folder."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.operate.cli_options import settings_of
from workers.operate.console import Commands, ExitCode, output, progress_console

if TYPE_CHECKING:
    from config.settings import Settings
    from workers.contracts.topics import Topic

_MOST_TOLD = 20

_publish = typer.Typer(cls=Commands, no_args_is_help=True, help="Publish events to Kafka, each confirmed.")

_File = Annotated[Path, typer.Argument(help="File with one JSON event a line; '-' reads standard input.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and send nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_publish, name="publish")


@_publish.command()
def content(ctx: typer.Context, file: _File, dry_run: _DryRun = False) -> None:
    """Publish content events (items that appear, change or go) from JSON lines."""
    from workers.contracts.topics import Topic

    _publish_lines(settings_of(ctx), file, Topic.CONTENT, dry_run=dry_run)


@_publish.command()
def interactions(ctx: typer.Context, file: _File, dry_run: _DryRun = False) -> None:
    """Publish interaction events (what users did) from JSON lines."""
    from workers.contracts.topics import Topic

    _publish_lines(settings_of(ctx), file, Topic.INTERACTIONS, dry_run=dry_run)


@_publish.command()
def folder(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Folder with pictures, sounds, clips and texts.")],
    prefix: Annotated[str | None, typer.Option(help="Start of every item id; the folder's name by default.")] = None,
    by_reference: Annotated[
        bool, typer.Option("--by-reference", help="Send file:// addresses; workers need media.allowed_folders.")
    ] = False,
    dry_run: _DryRun = False,
) -> None:
    """Publish your own pictures, sounds, clips and texts, with place and time from EXIF. Safe to repeat.

    Big pictures are made smaller on the way (512 pixels); the files themselves are never changed.
    """
    from workers.operate.folder import FolderPlan, find_files, folder_events

    settings = settings_of(ctx)
    if not directory.is_dir():
        raise typer.BadParameter(f"{directory} is not a folder")
    root = directory.resolve()
    plan = FolderPlan(
        root=root,
        prefix=root.name if prefix is None else prefix,
        by_reference=by_reference,
        max_event_bytes=settings.kafka.max_event_bytes,
    )
    files, skipped = find_files(root), list[str]()
    with _progress(len(files), "files") as bar:
        events = folder_events(
            plan,
            files,
            on_skipped=lambda path, why: skipped.append(f"{path.relative_to(root)}: {why}"),
            on_read=lambda _: bar.advance(),
        )
        sent = _send(settings, events, dry_run=dry_run)
    _summarise(sent, skipped, what="files", dry_run=dry_run)


def _publish_lines(settings: "Settings", file: Path, topic: "Topic", *, dry_run: bool) -> None:
    from workers.operate.jsonl import read_events

    bad: list[str] = []
    with _opened(file) as (lines, size), _progress(size, topic.value, is_bytes=True) as bar:
        events = read_events(
            lines,
            topic,
            settings.kafka,
            on_bad_line=lambda line: bad.append(str(line)),
            on_read=bar.advance,
        )
        sent = _send(settings, events, dry_run=dry_run)
    _summarise(sent, bad, what="lines", dry_run=dry_run)


def _send(settings: "Settings", events: Iterable[Any], *, dry_run: bool) -> int:
    if dry_run:
        return sum(1 for _ in events)
    from workers.operate.client import Client

    with Client(settings) as client:
        return client.publish_many(events)


def _summarise(sent: int, refused: list[str], *, what: str, dry_run: bool) -> None:
    """Print the counts; a refused line or file makes the command end with 1 after all others were sent."""
    output().print(f"{sent} events {'are good, none sent' if dry_run else 'published and confirmed'}")
    if not refused:
        return
    notes = progress_console()
    for problem in refused[:_MOST_TOLD]:
        notes.print(problem, markup=False, soft_wrap=True)
    if len(refused) > _MOST_TOLD:
        notes.print(f"… and {len(refused) - _MOST_TOLD} more")
    notes.print(f"{len(refused)} {what} were not published", style="bold red")
    raise typer.Exit(ExitCode.TROUBLE)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[Iterable[bytes], int | None]]:
    """Lines of the file, and its size if it has one."""
    if str(file) == "-":
        yield sys.stdin.buffer, None
        return
    try:
        opened = file.open("rb")
    except OSError as exc:
        raise typer.BadParameter(f"{file} cannot be read: {exc.strerror}") from exc
    with opened:
        yield opened, file.stat().st_size if file.is_file() else None


class _Bar:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, by: int = 1) -> None:
        self._progress.advance(self._task, by)


@contextlib.contextmanager
def _progress(total: int | None, what: str, *, is_bytes: bool = False) -> Iterator[_Bar]:
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    done = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), done, TimeElapsedColumn())
    with Progress(*columns, console=progress_console()) as progress:
        yield _Bar(progress, progress.add_task(f"publishing {what}", total=total))
