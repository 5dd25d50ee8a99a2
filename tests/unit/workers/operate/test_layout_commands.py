"""What ``crosscurrent reshard`` and ``reindex`` say, and which steps they take together."""

import pytest
from typer.testing import CliRunner

from config.vocabulary import ModelRef
from fusion.index.layouts import Layout, LayoutRecord, OtherState
from fusion.index.redis_layouts import Follower
from workers.operate.cli import app
from workers.operate.console import ExitCode
from workers.operate.layout_desk import Status
from workers.operate.show_layouts import status_rows, what_next

OLD = Layout(name="", shards=1, model=ModelRef("m", "1"))
NEW = Layout(name="new", shards=4, model=ModelRef("m", "2"))


@pytest.mark.parametrize("command", ["reshard", "reindex"])
@pytest.mark.parametrize("options", [("--flip", "--back"), ("--drop", "--status"), ("--flip", "--compare", "--drop")])
def test_one_step_at_a_time(command: str, options: tuple[str, ...]) -> None:
    """Two steps at once are refused, and both are named; nothing is asked of a server."""
    run = CliRunner().invoke(app, [command, *options])
    assert run.exit_code == ExitCode.USAGE
    for option in options:
        assert option in run.output


def test_what_there_is_with_one_layout() -> None:
    """The first one, by its shards; and how a second one comes about."""
    status = Status(record=None, live=OLD, followers=[])
    assert status_rows(status) == {"live": "the first (m@1, 1 shard)", "generation": "0", "workers": "none follow"}
    assert "--shards N" in what_next(status)
    assert not status.behind


def test_what_there_is_with_two_models() -> None:
    """Both layouts, who follows, and how many of them hold the other model; who has not changed over is named."""
    record = LayoutRecord(generation=3, live=OLD, other=NEW, state=OtherState.FILLED)
    followers = [
        Follower(name="queries:a", generation=3, seen_s=0, models=("m@1", "m@2")),
        Follower(name="queries:b", generation=2, seen_s=1, models=("m@1",)),
        Follower(name="content:c", generation=3, seen_s=0, models=("m@2",)),
    ]
    status = Status(record=record, live=OLD, followers=followers)

    rows = status_rows(status)

    assert rows["filled"] == "new (m@2, 4 shards)"
    assert rows["workers"] == "1 content, 2 queries"
    assert rows["of them with m@2"] == "1 content, 1 queries"
    assert [each.name for each in status.behind] == ["queries:b"]
    assert "--flip" in what_next(status)
