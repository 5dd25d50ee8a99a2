"""A child's minder: runs a command, and ends it and all it started when whoever holds our standard input is gone.

Run as a script, by its path, and importing the standard library alone, so that it starts in milliseconds. A pipe tells
of the parent's end on every system and from any thread, also after ``kill -9``; Linux's PR_SET_PDEATHSIG would fire as
soon as the *thread* that started the child ends.
"""

import os
import signal
import subprocess
import sys
import threading

_SIGNALLED = 128  # what a shell adds to the signal's number


def main(command: list[str]) -> int:
    """Run the command until it ends; its exit code, or 128 and the signal that ended it."""
    # Handlers, not SIG_IGN: an ignored signal would be inherited by the command, which must see it and stop.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own caller's command
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else _SIGNALLED - code


def _end_with_the_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)  # started as the leader of a session of its own, so this is the command and us


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
