"""Progress bars for work of several stages, each known when it is first told of."""

from collections.abc import Callable
from typing import Any

from workers.operate.console import progress_console


class Bars:
    """A context manager that gives what is called with a stage, steps done and steps in all.

    Args:
        rate: Whether steps a second are shown too.
    """

    def __init__(self, *, rate: bool = False) -> None:
        self._rate = rate

    def __enter__(self) -> Callable[[str, int, int], None]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.text import Text

        class Rate(ProgressColumn):
            """Steps a second, of the last moments while it goes on and of the whole at the end."""

            def render(self, task: Task) -> Text:
                speed = task.finished_speed or task.speed
                return Text("" if speed is None else f"{speed:,.0f}/s")

        columns = (TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), Elapsed())
        self._progress = Progress(*columns, *([Rate()] if self._rate else []), console=progress_console())
        self._stages: dict[str, Any] = {}
        self._progress.start()
        return self._tell

    def _tell(self, stage: str, done: int, total: int) -> None:
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._stages[stage], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
