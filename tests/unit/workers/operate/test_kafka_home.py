"""An unpacked Apache Kafka is found by KAFKA_HOME; what is missing or too old is told, all of it at once."""

from pathlib import Path

import pytest

from config.errors import Misconfigured
from tests.programs import java, kafka
from workers.operate.kafka_home import find_kafka
from workers.operate.release import Release


def test_a_distribution_and_a_java_are_found(tmp_path: Path) -> None:
    """The release is read from the broker's own jar, not from its sources."""
    home, runtime = kafka(tmp_path / "kafka_2.13-4.2.1", "4.2.1"), java(tmp_path, "17.0.15")
    found = find_kafka({"KAFKA_HOME": str(home), "PATH": str(runtime.parent)})
    assert found.libs == home / "libs"
    assert found.release == Release(4, 2, 1)
    assert found.java == runtime


def test_both_problems_are_told_with_their_ways_out(tmp_path: Path) -> None:
    """Neither Kafka nor Java: whoever reads it gets both in one go."""
    with pytest.raises(Misconfigured) as caught:
        find_kafka({"PATH": str(tmp_path)})
    first, second = caught.value.problems
    assert "KAFKA_HOME is not set" in first
    assert "https://kafka.apache.org/downloads" in first
    assert "export KAFKA_HOME=" in first
    assert "install Java 17" in second


@pytest.mark.parametrize("release", ["3.9.1", ""])
def test_what_is_no_kafka_or_too_old_is_refused(tmp_path: Path, release: str) -> None:
    """A release that needs other tools, and a folder without a broker."""
    runtime = java(tmp_path, "17.0.15")
    home = kafka(tmp_path / "kafka", release) if release else tmp_path
    wrong = "holds Apache Kafka 3.9.1" if release else "holds no libs/kafka_"
    with pytest.raises(Misconfigured, match=f"{wrong}.*4.0 or newer"):
        find_kafka({"KAFKA_HOME": str(home), "PATH": str(runtime.parent)})


@pytest.mark.parametrize("text", ["4.2", "4.2.1-rc1", "", "four"])
def test_a_release_is_three_numbers(text: str) -> None:
    """Anything else is refused, and numbers compare as numbers."""
    with pytest.raises(ValueError, match="is no release"):
        Release.parse(text)
    assert Release.parse("4.10.0") > Release.parse("4.9.3")
    assert str(Release.parse("4.10.0")) == "4.10.0"
