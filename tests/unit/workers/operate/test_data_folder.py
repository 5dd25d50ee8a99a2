"""A data folder is one process's at a time, stays what it was, and says what stands in the way of using it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import Misconfigured
from workers.operate import folder_use
from workers.operate.data_folder import open_data
from workers.operate.data_manifest import new_cluster_id
from workers.operate.folder_use import naming
from workers.operate.release import Release

KAFKA = Release(4, 2, 1)
REDIS = Release(8, 2, 3)


def used(folder: Path, *, kafka: Release = KAFKA, redis: Release = REDIS, **changes: Any) -> dict[str, Any]:
    """Open a folder, change what it says of itself, leave it, and return what it says then."""
    with open_data(folder, kafka=kafka, redis=redis) as data:
        data.keep(**changes)
    return dict(json.loads((folder / "crosscurrent.json").read_text()))


def filled(folder: Path) -> Path:
    """A folder that was started once."""
    used(folder, formatted=True)
    (folder / "kafka" / "data").mkdir(parents=True)
    (folder / "kafka" / "data" / "meta.properties").touch()
    (folder / "redis" / "appendonlydir").mkdir(parents=True)
    return folder


def test_a_new_folder_is_made_and_stays_what_it_is(tmp_path: Path) -> None:
    """Cluster id and ports are decided once; parents are made, and what a new disk holds is no hindrance."""
    folder = tmp_path / "some where" / "数据"
    (folder / "lost+found").mkdir(parents=True)
    first = used(folder)
    assert first["layout"] == 1
    assert first["redis_whole"]
    assert len(set(first["ports"].values())) == 3
    assert used(folder) == first


def test_a_folder_in_use_is_refused_until_its_holder_is_killed(tmp_path: Path) -> None:
    """The holder is named; kill -9 lets go of the folder."""
    program = (
        "import sys, time; from pathlib import Path; from workers.operate.data_folder import open_data;"
        "from workers.operate.release import Release\n"
        "with open_data(Path(sys.argv[1]), kafka=Release(4, 2, 1), redis=Release(8, 2, 3)):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            refusal = f"is in use by process {holder.pid}: stop that first, or name another folder"
            with pytest.raises(Misconfigured, match=refusal):
                used(tmp_path / "data")
        finally:
            holder.send_signal(signal.SIGKILL)
    used(tmp_path / "data")


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds anything but ours is refused, by name of what it holds."""
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(Misconfigured, match=r"holds other things \(holiday.jpg\) .*name an empty or a new folder"):
        used(tmp_path)
    assert not (tmp_path / "crosscurrent.json").exists()


def test_another_layout_is_refused_with_a_way_out(tmp_path: Path) -> None:
    """Also where that layout's file has fields that we do not know."""
    used(tmp_path)
    (tmp_path / "crosscurrent.json").write_text('{"layout": 2, "volumes": []}')
    with pytest.raises(Misconfigured, match=r"has layout 2, .*the version that wrote it, .*crosscurrent export events"):
        used(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", '{"layout": 1', '{"layout": 1, "ports": {"broker": 70000}}', "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    """Cut, emptied, or of another kind: never taken for a new folder."""
    filled(tmp_path)
    (tmp_path / "crosscurrent.json").write_text(text)
    with pytest.raises(Misconfigured, match=f"{re.escape(str(tmp_path))}/crosscurrent.json is damaged .*restore it"):
        used(tmp_path)


@pytest.mark.parametrize(
    ("kafka", "refusal"),
    [
        (Release(4, 2, 0), ""),
        (Release(4, 3, 0), ""),
        (Release(4, 1, 9), "written by Apache Kafka 4.2.1, and KAFKA_HOME holds 4.1.9: let it name 4.2 or a later 4"),
        (Release(5, 0, 0), "KAFKA_HOME holds 5.0.0.*to change the major release .*crosscurrent export events"),
    ],
)
def test_a_kafka_that_may_not_understand_the_files_is_refused(tmp_path: Path, kafka: Release, refusal: str) -> None:
    """Another major release and an older one; a newer one may write, and older ones may not from then on."""
    filled(tmp_path)
    if refusal:
        with pytest.raises(Misconfigured, match=refusal):
            used(tmp_path, kafka=kafka)
    else:
        assert used(tmp_path, kafka=kafka)["kafka"] == str(kafka)


def test_an_older_redis_is_refused_until_its_files_are_given_up(tmp_path: Path) -> None:
    """The way out that the message names works: Redis is to be filled from the topics then."""
    filled(tmp_path)
    with pytest.raises(Misconfigured, match=r"written by Redis 8.2.3, and this is 8.1.0: .*remove that folder"):
        used(tmp_path, redis=Release(8, 1, 0))
    (tmp_path / "redis" / "appendonlydir").rmdir()
    (tmp_path / "redis").rmdir()
    assert not used(tmp_path, redis=Release(8, 1, 0))["redis_whole"]


def test_lost_events_are_told_and_never_replaced_by_none(tmp_path: Path) -> None:
    """Kafka is the truth: a folder without its files is not started as a new one."""
    filled(tmp_path)
    (tmp_path / "kafka" / "data" / "meta.properties").unlink()
    with pytest.raises(Misconfigured, match="has lost Kafka's files, and with them the events: restore"):
        used(tmp_path)


def test_a_lost_redis_is_remembered_until_it_is_filled(tmp_path: Path) -> None:
    """A run that is killed while it fills Redis leaves files that look whole."""
    filled(tmp_path)
    (tmp_path / "redis" / "appendonlydir").rmdir()
    assert not used(tmp_path)["redis_whole"]
    (tmp_path / "redis" / "appendonlydir").mkdir()
    assert not used(tmp_path)["redis_whole"]
    assert used(tmp_path, redis_whole=True)["redis_whole"]
    assert used(tmp_path)["redis_whole"]


def test_a_disk_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr(folder_use, "LEAST_FREE_BYTES", 2**70)
    with pytest.raises(Misconfigured, match=rf"the disk of {re.escape(str(tmp_path))} has \d+ MiB left .*make room"):
        used(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """What the system says when a write finds no room."""
    refusal = f"{re.escape(str(tmp_path))} cannot be used \\(No space left on device\\): make room on its disk"
    with pytest.raises(Misconfigured, match=refusal), naming(tmp_path):
        Path("/dev/full").write_text("x")


def a_file(folder: Path) -> Path:
    """A path that is a file's."""
    (folder / "file").touch()
    return folder / "file"


def below_a_file(folder: Path) -> Path:
    """A path under a file's."""
    return a_file(folder) / "data"


def read_only(folder: Path) -> Path:
    """A folder that nobody but root may write to."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    folder.chmod(0o555)
    return folder / "data"


@pytest.mark.parametrize("place", [a_file, below_a_file, read_only])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    """With the system's reason and a way out."""
    path = place(tmp_path)
    with pytest.raises(Misconfigured, match=f"{re.escape(str(path.parent))}.* cannot be used \\(.*(name|write)"):
        used(path)


def test_the_logs_of_the_last_run_are_kept(tmp_path: Path) -> None:
    """Of the last one alone."""
    for number in range(3):
        with open_data(tmp_path, kafka=KAFKA, redis=REDIS) as data:
            (data.fresh_logs() / "log").write_text(str(number))
    assert (tmp_path / "logs" / "log").read_text() == "2"
    assert (tmp_path / "logs.before" / "log").read_text() == "1"


def test_cluster_ids_are_no_options() -> None:
    """Kafka's tools read a dash in front as one."""
    made = {new_cluster_id() for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", each) for each in made)
