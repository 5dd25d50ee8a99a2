"""Finding Apache Kafka: the unpacked distribution that ``KAFKA_HOME`` names, and the Java that runs it."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from config.errors import Misconfigured
from workers.operate.java import find_java
from workers.operate.release import Release

T = TypeVar("T")

VARIABLE: Final = "KAFKA_HOME"
OLDEST_MAJOR: Final = 4  # the first without ZooKeeper: its tools, properties and logging are what we speak

# The broker's own jar, `kafka_2.13-4.2.1.jar`: Scala's release, then Kafka's. Its sources and the like may lie beside.
_BROKER_JAR: Final = re.compile(r"kafka_[\d.]+-(\d+)\.(\d+)\.(\d+)(?!.*-(?:sources|javadoc|scaladoc|test))[^/]*\.jar")
_WAY_OUT: Final = (
    f"download a binary release of Apache Kafka {OLDEST_MAJOR}.0 or newer (https://kafka.apache.org/downloads), unpack "
    f"it, and name its folder: export {VARIABLE}=/opt/kafka_2.13-{OLDEST_MAJOR}.2.1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaHome:
    """An Apache Kafka that can be started.

    Args:
        libs: Folder of its jars.
        java: The runtime.
    """

    libs: Path
    release: Release
    java: Path


def find_kafka(environment: Mapping[str, str] = os.environ) -> KafkaHome:
    """What is needed to run Apache Kafka here.

    Raises:
        Misconfigured: Kafka or Java is missing or too old; with both problems when there are two, and how to get each.
    """
    problems: list[str] = []
    broker = _found(_broker, environment, problems)
    java = _found(find_java, environment, problems)
    if broker is None or java is None:
        raise Misconfigured(*problems)
    libs, release = broker
    return KafkaHome(libs=libs, release=release, java=java)


def _found(look: Callable[[Mapping[str, str]], T], environment: Mapping[str, str], problems: list[str]) -> T | None:
    try:
        return look(environment)
    except Misconfigured as exc:
        problems += exc.problems
        return None


def _broker(environment: Mapping[str, str]) -> tuple[Path, Release]:
    home = environment.get(VARIABLE)
    if not home:
        raise Misconfigured(f"--data needs Apache Kafka, and {VARIABLE} is not set: {_WAY_OUT}")
    libs = Path(home).expanduser().absolute() / "libs"
    found = [jar for path in sorted(libs.glob("*.jar")) if (jar := _BROKER_JAR.fullmatch(path.name))]
    if not found:
        raise Misconfigured(f"{VARIABLE}={home} holds no libs/kafka_….jar, as Apache Kafka does: {_WAY_OUT}")
    release = max(Release(*map(int, jar.groups())) for jar in found)
    if release.major < OLDEST_MAJOR:
        raise Misconfigured(f"{VARIABLE}={home} holds Apache Kafka {release}: {_WAY_OUT}")
    return libs, release
