"""Small programs and folders that stand in for what an operator has installed."""

from pathlib import Path


def program(path: Path, script: str) -> Path:
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def java(folder: Path, version: str) -> Path:
    """A ``bin/java`` under a folder that tells a version as OpenJDK does, and does nothing else."""
    return program(folder / "bin" / "java", f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")


def kafka(folder: Path, release: str) -> Path:
    """A folder that holds Apache Kafka's jars by name."""
    libs = folder / "libs"
    libs.mkdir(parents=True)
    for name in (f"kafka_2.13-{release}.jar", f"kafka-clients-{release}.jar", "kafka_2.13-9.9.9-sources.jar"):
        (libs / name).touch()
    return folder
