"""What a data folder says of itself: its layout, the cluster's id and ports, and what wrote it last."""

import json
import os
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.errors import Misconfigured
from workers.operate.lasting_ports import lasting_ports
from workers.operate.release import Release

NAME: Final = "crosscurrent.json"
LAYOUT: Final = 1
"""Raised when a folder is laid out in a way that an earlier version would not understand."""

MOVING: Final = "move its events into a new folder (crosscurrent export events, then crosscurrent publish)"

_RELEASE: Final = r"^\d+\.\d+\.\d+$"


class Ports(BaseModel):
    """Where the servers answered first, and answer at every later start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker: int = Field(ge=1, le=65535)
    controller: int = Field(ge=1, le=65535)
    redis: int = Field(ge=1, le=65535)


class Manifest(BaseModel):
    """The file ``crosscurrent.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    layout: int = LAYOUT
    cluster_id: str
    """Kafka's name of the cluster, which its own files repeat."""
    ports: Ports
    kafka: str = Field(pattern=_RELEASE)
    """The newest Apache Kafka that wrote here."""
    redis: str = Field(pattern=_RELEASE)
    """The newest Redis that wrote here."""
    formatted: bool = False
    """Whether Kafka's own folder was made ready."""
    redis_whole: bool = True
    """Whether Redis holds what the topics say: not from the loss of its files until it is filled again."""


def new_manifest(kafka: Release, redis: Release) -> Manifest:
    """A manifest for a folder that nothing has written to."""
    broker, controller, server = lasting_ports(3)
    ports = Ports(broker=broker, controller=controller, redis=server)
    return Manifest(cluster_id=new_cluster_id(), ports=ports, kafka=str(kafka), redis=str(redis))


def new_cluster_id() -> str:
    """A random id as Kafka makes them: 16 bytes in URL-safe base64, never with a dash in front, as of an option."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def read_manifest(folder: Path) -> Manifest | None:
    """Read what a folder says of itself; None when it says nothing.

    Raises:
        Misconfigured: The file is damaged, or of another layout.
        OSError: It cannot be read.
    """
    path = folder / NAME
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise _damaged(path, str(exc)) from exc
    layout = told.get("layout") if isinstance(told, dict) else None
    if isinstance(layout, int) and layout != LAYOUT:
        raise Misconfigured(
            f"{folder} has layout {layout}, and this version of crosscurrent knows layout {LAYOUT}: start it with the "
            f"version that wrote it, and there {MOVING}"
        )
    try:
        return Manifest.model_validate(told)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or NAME}: {each['msg']}" for each in exc.errors())
        raise _damaged(path, wrong) from exc


def _damaged(path: Path, how: str) -> Misconfigured:
    return Misconfigured(f"{path} is damaged ({how}): restore it or the whole folder from a copy, or name a new folder")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all, and onto the disk before we go on.

    Raises:
        OSError: It cannot be written.
    """
    fresh = folder / f"{NAME}.new"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / NAME)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
