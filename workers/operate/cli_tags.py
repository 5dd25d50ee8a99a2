"""``crosscurrent tags``: how many items had each label, by windows of time."""

from typing import TYPE_CHECKING, Annotated

import typer

from workers.operate.cli_options import settings_of
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from rich.console import Group

    from workers.operate.tag_totals import TagTotals, WindowTotals

_NOTHING = "nothing was counted yet: name label sets in tagging.presets or tagging.sets, and publish content"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tags)


def tags(
    ctx: typer.Context,
    label_set: Annotated[str, typer.Option("--set", help="Only this label set.")] = "",
    windows: Annotated[int, typer.Option(help="How many of the newest windows.", min=1, max=1000)] = 6,
    follow: Annotated[bool, typer.Option("--follow", help="Go on and show what changes, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each window.")] = False,
) -> None:
    """Show how many items had each label of the label sets, by windows of their own time."""
    import asyncio

    from workers.operate.tag_totals import TagTotals, watch

    kafka, totals = settings_of(ctx).kafka, TagTotals(label_set)
    if as_json:
        asyncio.run(watch(kafka, totals, _Lines(totals, windows), follow=follow))
    elif follow:
        from rich.live import Live

        with Live(_tables(totals, windows), console=output(), auto_refresh=False) as live:
            show = lambda _: live.update(_tables(totals, windows), refresh=True)  # noqa: E731 - one use, one line
            asyncio.run(watch(kafka, totals, show, follow=True))
    else:
        asyncio.run(watch(kafka, totals, lambda _: None, follow=False))
        if not totals.latest(windows):
            progress_console().print(_NOTHING)
        output().print(_tables(totals, windows))


class _Lines:
    """Prints the newest windows at first, and then each window that changes."""

    def __init__(self, totals: "TagTotals", windows: int) -> None:
        self._totals = totals
        self._windows = windows
        self._began = False

    def __call__(self, changed: "list[WindowTotals]") -> None:
        import json

        newest = [window for each in self._totals.latest(self._windows).values() for window in each]
        for window in changed if self._began else newest:
            typer.echo(json.dumps(window.as_json(), ensure_ascii=False))
        self._began = True


def _tables(totals: "TagTotals", windows: int) -> "Group":
    from rich.console import Group

    from workers.operate.tag_totals import heading, totals_table

    shown = totals.latest(windows).items()
    return Group(*(part for name, found in shown for part in (heading(name, found), totals_table(found))))
