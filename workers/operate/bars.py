"""Progress bars for work of several stages, each known when it is first told of."""

from collections.abc import Callable
from typing import Any

from workers.operate.console import progress_console


class Bars:
    """A context manager that gives what is called with a stage, steps done and steps in all."""

    def __enter__(self) -> Callable[[str, int, int], None]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=progress_console())
        self._stages: dict[str, Any] = {}
        self._progress.start()
        return self._tell

    def _tell(self, stage: str, done: int, total: int) -> None:
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._stages[stage], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
