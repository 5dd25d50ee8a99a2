"""Java is looked for in JAVA_HOME, then on PATH; a runtime that is too old is passed over, and none is told."""

from pathlib import Path

import pytest

from config.errors import Misconfigured
from tests.programs import java, program
from workers.operate.java import find_java, version_in


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('java version "1.8.0_392"\nJava(TM) SE Runtime Environment', 8),
        ('java version "11.0.2" 2019-01-15 LTS', 11),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('openjdk version "21" 2023-09-19', 21),
        ('Picked up JAVA_TOOL_OPTIONS: -Dversion "9"\nopenjdk version "17.0.1" 2021-10-19', 17),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_feature_release_is_read(told: str, version: int | None) -> None:
    """Old and new ways to count, other vendors, early access, notes before it, and what is no Java."""
    assert version_in(told) == version


def test_java_home_comes_before_path(tmp_path: Path) -> None:
    """What the operator names is taken."""
    named, found = java(tmp_path / "named", "21.0.1"), java(tmp_path / "found", "17.0.15")
    environment = {"JAVA_HOME": str(tmp_path / "named"), "PATH": str(found.parent)}
    assert find_java(environment) == named
    assert find_java({"PATH": str(found.parent)}) == found


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    """An old JAVA_HOME is no reason to refuse where PATH has a new one."""
    java(tmp_path / "old", "11.0.2")
    found = java(tmp_path / "new", "17.0.15")
    assert find_java({"JAVA_HOME": str(tmp_path / "old"), "PATH": str(found.parent)}) == found


def test_without_java_the_message_says_what_was_found_and_how_to_get_one(tmp_path: Path) -> None:
    """Too old in one place, no runtime behind the program in the other: both are told, and the way out."""
    java(tmp_path / "old", "1.8.0_392")
    stub = program(tmp_path / "stub" / "java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")
    with pytest.raises(Misconfigured, match="no Java 17 or newer") as caught:
        find_java({"JAVA_HOME": str(tmp_path / "old"), "PATH": str(stub.parent)})
    told = str(caught.value)
    assert f"JAVA_HOME {tmp_path / 'old'}: Java 8" in told
    assert f"PATH: {stub} is no Java runtime" in told
    assert "apt install openjdk-17-jre-headless" in told
    with pytest.raises(Misconfigured, match=r"\(PATH: no java there\)"):
        find_java({"PATH": str(tmp_path)})
