"""Children die with their parent, and say what went wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workers.operate.children import Child, ChildError

FOREVER = [sys.executable, "-c", "import time; time.sleep(600)"]
# A shell that starts a grandchild, tells its process id, and waits for it.
FAMILY = ["sh", "-c", "sleep 600 & echo $! && wait"]


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually_dead(pid: int, *, within_s: float = 5.0) -> bool:
    """Whether the process is gone within the time."""
    deadline = time.monotonic() + within_s
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def first_line(log: Path) -> str:
    """First line a child writes, once it is there."""
    deadline = time.monotonic() + 10
    while "\n" not in (text := log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return text.splitlines()[0]


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    """What the command started is gone too."""
    with Child("family", FAMILY, tmp_path / "log") as child:
        grandchild = int(first_line(tmp_path / "log"))
        assert is_alive(grandchild)
    assert child.exit_code is not None
    assert eventually_dead(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_die_when_the_parent_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the parent leaves nothing running: the pipe to the guard closes."""
    log = tmp_path / "log"
    program = (
        "import sys, time; from pathlib import Path; from workers.operate.children import Child;"
        f"Child('family', {FAMILY!r}, Path({str(log)!r})); time.sleep(600)"
    )
    log.touch()
    parent = subprocess.Popen([sys.executable, "-c", program])
    grandchild = int(first_line(log))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert eventually_dead(grandchild)


def test_exit_code_and_signal_reach_the_parent(tmp_path: Path) -> None:
    """A child's own code comes through the guard; a signal shows as 128 and its number."""
    child = Child("short", [sys.executable, "-c", "raise SystemExit(7)"], tmp_path / "log")
    with pytest.raises(ChildError, match="short ended with code 7"):
        child.wait_until(lambda: False, timeout_s=10)
    child.stop()
    with Child("killed", ["sh", "-c", "kill -9 $$"], tmp_path / "log") as killed:
        deadline = time.monotonic() + 10
        while killed.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert killed.exit_code == 128 + signal.SIGKILL


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace the group is killed."""
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done"]
    child = Child("stubborn", stubborn, tmp_path / "log")
    first_line(tmp_path / "log")
    started = time.monotonic()
    child.stop(grace_s=0.3)
    assert time.monotonic() - started < 5
    assert child.exit_code is not None


def test_sigterm_reaches_the_command(tmp_path: Path) -> None:
    """The guard lets the command stop in its own way."""
    polite = ["sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.05; done"]
    child = Child("polite", polite, tmp_path / "log")
    first_line(tmp_path / "log")
    child.stop(grace_s=10)
    assert child.exit_code == 3
    assert child.log_tail().endswith("bye")


def test_a_silent_child_is_reported_with_its_log(tmp_path: Path) -> None:
    """A child that does not answer in time is an error that shows the end of its log."""
    with (
        Child("mute", ["sh", "-c", "echo something odd; sleep 600"], tmp_path / "log") as child,
        pytest.raises(ChildError, match=r"mute did not answer within 0.5 s; the end of its log:\nsomething odd"),
    ):
        child.wait_until(lambda: False, timeout_s=0.5)


def test_environment_is_added(tmp_path: Path) -> None:
    """Variables given to the child join those of the parent."""
    command = ["sh", "-c", 'echo "$GREETING $HOME"']
    with Child("env", command, tmp_path / "log", environment={"GREETING": "hello"}):
        assert first_line(tmp_path / "log") == f"hello {os.environ['HOME']}"
