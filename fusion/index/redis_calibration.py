"""A model's measured backgrounds in Redis: a hash, a claim that expires, and the recent queries' vectors."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.settings import RedisSettings
from config.vocabulary import Background, Modality, ModelRef
from fusion.index.calibration import QUERIES_KEPT, QUERIES_KEPT_MS, MeasuredTable, Pair, StoredCalibration
from fusion.index.connection import Argument, Command, RedisConnection, Script
from fusion.index.layout import Keys
from fusion.index.protocol import WriteOutcome

_WRITE: Final = Script(Path(__file__).with_name("write_calibration.lua"))
_NEXT: Final = "next"
_ANY_LATER: Final = "later"


class RedisCalibrationStore:
    """Keys of the first shard, under the model's name; they hold no item and may be lost at any time.

    Args:
        settings: Where Redis is and how it is laid out.
        model: Whose backgrounds; part of every key.
        dims: Length of its vectors.
    """

    def __init__(self, settings: RedisSettings, model: ModelRef, dims: int) -> None:
        self._dims = dims
        self._keys = Keys(settings.prefix, settings.shards, model)
        self._connection = RedisConnection(settings)

    async def read(self) -> StoredCalibration | None:
        """What was written last; see ``CalibrationStore.read``."""
        key = self._keys.calibration()
        ((revision, tables),) = await self._connection.ask([("HMGET", key, "revision", "tables")])
        if revision is None:
            return None
        try:
            return StoredCalibration(revision=int(revision), tables=_load(tables))
        except (ValueError, KeyError, TypeError) as exc:
            raise Misconfigured(f"{key} in Redis is not understood ({exc!r}): delete it, it is measured anew") from exc

    async def write(self, calibration: StoredCalibration) -> WriteOutcome:
        """Replace what is kept; see ``CalibrationStore.write``."""
        return await self._write(calibration, _NEXT)

    async def restore(self, calibration: StoredCalibration) -> WriteOutcome:
        """Put back what was lost; see ``CalibrationStore.restore``."""
        return await self._write(calibration, _ANY_LATER)

    async def _write(self, calibration: StoredCalibration, which: str) -> WriteOutcome:
        arguments: list[Argument] = [calibration.revision, _dump(calibration.tables), which]
        (applied,) = await self._connection.ask(_WRITE.commands([([self._keys.calibration()], arguments)]))
        return WriteOutcome.APPLIED if applied else WriteOutcome.STALE

    async def claim(self, seconds: float) -> bool:
        """Whether the caller may measure now; see ``CalibrationStore.claim``."""
        key = self._keys.calibration("claim")
        (reply,) = await self._connection.ask([("SET", key, "1", "NX", "PX", max(1, math.ceil(seconds * 1000)))])
        return reply is not None

    async def remember(self, queries: Mapping[Modality, NDArray[np.float32]], *, now_ms: int) -> None:
        """Note query vectors; see ``CalibrationStore.remember``."""
        await self._connection.ask([command for each in queries.items() for command in self._noting(*each, now_ms)])

    def _noting(self, modality: Modality, vectors: NDArray[np.float32], now_ms: int) -> list[Command]:
        key = self._queries(modality)
        scored = [value for row in vectors for value in (now_ms, np.asarray(row, "<f4").tobytes())]
        if not scored:
            return []
        return [
            ("ZADD", key, *scored),
            ("ZREMRANGEBYRANK", key, 0, -QUERIES_KEPT - 1),
            ("PEXPIRE", key, QUERIES_KEPT_MS),
        ]

    async def remembered(self, *, now_ms: int) -> dict[Modality, NDArray[np.float32]]:
        """Recent query vectors; see ``CalibrationStore.remembered``."""
        oldest = f"({now_ms - QUERIES_KEPT_MS}"
        replies = await self._connection.ask(
            [("ZRANGE", self._queries(modality), oldest, "+inf", "BYSCORE") for modality in Modality]
        )
        return {
            modality: np.frombuffer(b"".join(rows), "<f4").reshape(-1, self._dims)
            for modality, rows in zip(Modality, replies, strict=True)
            if rows
        }

    def _queries(self, modality: Modality) -> str:
        return self._keys.calibration(f"queries:{modality}")

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close()


def _dump(tables: tuple[MeasuredTable, ...]) -> str:
    """Numbers in full, so that every worker calculates with the same."""
    return json.dumps(
        [
            {
                "measured_at_ms": table.measured_at_ms,
                "effective_at_ms": table.effective_at_ms,
                "items": dict(table.items),
                "backgrounds": {
                    f"{query}>{item}": [each.mean, each.std] for (query, item), each in table.backgrounds.items()
                },
            }
            for table in tables
        ]
    )


def _load(text: bytes) -> tuple[MeasuredTable, ...]:
    return tuple(_table(raw) for raw in json.loads(text))


def _table(raw: Mapping[str, Any]) -> MeasuredTable:
    return MeasuredTable(
        backgrounds={_pair(key): _background(*numbers) for key, numbers in raw["backgrounds"].items()},
        measured_at_ms=int(raw["measured_at_ms"]),
        effective_at_ms=int(raw["effective_at_ms"]),
        items={Modality(name): int(count) for name, count in raw["items"].items()},
    )


def _background(mean: float, std: float) -> Background:
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        msg = f"a background of mean {mean} and deviation {std}"
        raise ValueError(msg)
    return Background(mean=mean, std=std)


def _pair(key: str) -> Pair:
    query, _, item = key.partition(">")
    return Modality(query), Modality(item)
