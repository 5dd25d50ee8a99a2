"""Finding a Java runtime that is new enough: what ``JAVA_HOME`` names first, then what is on ``PATH``."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from config.errors import Misconfigured

OLDEST: Final = 17  # what Apache Kafka 4 needs

_ANSWER_TIMEOUT_S: Final = 30.0  # a cold start of a JVM on a busy machine takes seconds
# `openjdk version "17.0.15" 2025-04-15`, `java version "1.8.0_392"`, `openjdk version "22-ea" 2024-03-19`; other lines,
# such as "Picked up JAVA_TOOL_OPTIONS: ...", may come before it.
_VERSION: Final = re.compile(r'^\S+ version "(?:1\.)?(\d+)', re.MULTILINE)
_WAY_OUT: Final = (
    f"install Java {OLDEST} or newer (Debian, Ubuntu: apt install openjdk-17-jre-headless; Fedora: dnf install "
    "java-21-openjdk-headless; macOS: brew install openjdk; or https://adoptium.net), and put its java on PATH or its "
    "folder into JAVA_HOME"
)


def find_java(environment: Mapping[str, str]) -> Path:
    """Path of the first ``java`` that is new enough.

    Args:
        environment: Where ``JAVA_HOME`` and ``PATH`` are looked up.

    Raises:
        Misconfigured: There is none; the message says what was found, and how to get one.
    """
    found: list[str] = []
    for place, program in _places(environment):
        told = _tell_version(program) if program else "no java there"
        if isinstance(told, int) and program and told >= OLDEST:
            return program
        found.append(f"{place}: {f'Java {told}' if isinstance(told, int) else told}")
    raise Misconfigured(f"no Java {OLDEST} or newer ({'; '.join(found)}): {_WAY_OUT}")


def version_in(text: str) -> int | None:
    """The feature release that ``java -version`` tells: 8, 11, 17 and so on; None when it tells none."""
    found = _VERSION.search(text)
    return int(found[1]) if found else None


def _places(environment: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    if home := environment.get("JAVA_HOME"):
        yield f"JAVA_HOME {home}", _program("java", str(Path(home) / "bin"))
    yield "PATH", _program("java", environment.get("PATH", ""))


def _program(name: str, path: str) -> Path | None:
    found = shutil.which(name, path=path)
    return Path(found).absolute() if found else None


def _tell_version(program: Path) -> int | str:
    """Its feature release, or what is wrong with it."""
    try:
        done = subprocess.run(  # noqa: S603 - the java that the operator has chosen
            [str(program), "-version"], capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"{program} cannot be run ({type(exc).__name__})"
    version = version_in(done.stderr + done.stdout) if done.returncode == 0 else None
    return version if version is not None else f"{program} is no Java runtime"
