"""A progress bar on standard error for work that reports how far it is."""

from typing import Self

from workers.operate.console import progress_console


class Bar:
    """Told how much is done, of how much, and the best score so far if there is one."""

    def __init__(self, what: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[note]}"), console=progress_console())
        self._task = self._progress.add_task(what, total=None, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int, best: float | None = None) -> None:
        """Move on."""
        note = "" if best is None or best < 0 else f"best {best:.3f}"
        self._progress.update(self._task, completed=done, total=total, note=note)
