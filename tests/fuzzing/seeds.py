"""What is damaged: valid events of the three input topics, and a small file of every format that is decoded."""

import base64
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings

from config.vocabulary import Modality, Role
from tests.fuzzing.mutations import damaged, damaged_json
from tests.heic import heic, hevc
from tests.scenes import clip_of_scenes
from tests.strategies import events_of
from tests.unit.encoders.media.test_formats import (
    CLIPS,
    PICTURES,
    RED_AND_BLUE_BLOCKS,
    SOUNDS,
    clip_file,
    sound_file,
    two_halves,
    written,
)
from workers.contracts import examples
from workers.contracts.topics import INPUT_TOPIC

_EXAMPLES: Final = {
    Role.CONTENT: (examples.UPSERT, examples.DELETE),
    Role.INTERACTIONS: (examples.INTERACTION, examples.FORGET),
    Role.QUERIES: (
        examples.QUERY,
        {"query_id": "q-1", "kind": "recommend", "user_id": "mika", "k": 5, "explain": True},
        {"query_id": "q-2", "kind": "similar", "item_id": "kanagawa-0042", "ranking": {"method": "mmr"}},
        {"query_id": "q-3", "kind": "summarize", "item_ids": ["kanagawa-0042"]},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A small media file; ``name`` is its format."""

    name: str
    modality: Modality
    data: bytes


@cache
def event_seeds(role: Role, count: int = 200) -> Sequence[bytes]:
    """The example events and as many that fit the schema, the same at every start."""
    found = [json.dumps(each).encode() for each in _EXAMPLES[role]]

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(events_of(INPUT_TOPIC[role]))
    def collect(event: bytes) -> None:
        found.append(event)

    collect()
    return tuple(found)


@cache
def media_seeds(*, clips: int | None = None) -> Sequence[File]:
    """A small file of every format; of sounds and clips, which take time to write, no more than ``clips`` each."""
    pictures = [File(name=fmt, modality=Modality.IMAGE, data=written(two_halves(), fmt)) for fmt in PICTURES]
    pictures.append(File(name="HEIC", modality=Modality.IMAGE, data=heic(RED_AND_BLUE_BLOCKS)))
    sounds = [
        File(name=str(each), modality=Modality.AUDIO, data=sound_file(each, seconds=0.1)) for each in SOUNDS[:clips]
    ]
    moving = [
        File(name="-".join(filter(None, clip)), modality=Modality.VIDEO, data=clip_file(*clip))
        for clip in CLIPS[:clips]
    ]
    moving.append(File(name="hevc", modality=Modality.VIDEO, data=hevc([RED_AND_BLUE_BLOCKS] * 4)))
    if clips is None:
        moving.append(File(name="matroska-ffv1-scenes", modality=Modality.VIDEO, data=clip_of_scenes()))
    return (*pictures, *sounds, *moving)


def media_event(number: int, file: File, data: bytes, dice: random.Random) -> bytes:
    """A content event with a damaged file; sometimes it is said to be of another modality."""
    named = dice.choice((Modality.IMAGE, Modality.AUDIO, Modality.VIDEO)) if dice.random() < 0.1 else file.modality
    inline = {"data": base64.b64encode(data).decode()}
    return json.dumps({"type": "content.upsert", "item_id": f"file-{number}", "modalities": {named: inline}}).encode()


def fuzzed_event(role: Role, number: int, seed: int) -> bytes:
    """The damaged event of this number: in its bytes, or in its fields, or as it was."""
    dice, seeds = random.Random(f"{role} {seed} {number}"), event_seeds(role)
    event = dice.choice(seeds)
    match dice.randrange(10):
        case 0 | 1:
            return event
        case 2 | 3 | 4:
            return damaged(event, seeds, dice)
        case _:
            return damaged_json(event, seeds, dice)


def fuzzed_file(number: int, seed: int, files: Sequence[File]) -> tuple[File, bytes]:
    """The damaged file of this number, and what it was; formats take turns."""
    dice, file = random.Random(f"file {seed} {number}"), files[number % len(files)]
    return file, damaged(file.data, [file.data, dice.choice(files).data], dice)
