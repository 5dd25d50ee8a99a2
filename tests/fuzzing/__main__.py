"""The long form: ``python -m tests.fuzzing [--events 50000] [--media 5000] [--seed 0] [--out FILE]``.

Embedded broker and Redis, and one worker process a role as ``crosscurrent up`` starts them, with the encoders that need
no weights: everything before and behind the encoders is the real path. Damaged files are also decoded one by one in a
process of their own, which tells how long each takes and at which one a decoder crashes.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import yaml

from config.settings import KafkaSettings
from config.vocabulary import Role
from tests.fuzzing.campaign import Told, damaged_events, damaged_files, run_campaign
from tests.fuzzing.decoding import decode_apart
from tests.fuzzing.report import page, problems_of
from tests.fuzzing.seeds import event_seeds, media_seeds
from workers.contracts.dead_letter import DEAD_LETTERS, DeadLetter
from workers.contracts.topics import Topic
from workers.operate.cli_options import Options
from workers.operate.past_records import past_records
from workers.operate.system import System

DEFECTS = Path("fuzzing-defects")


async def letters_of(settings: KafkaSettings) -> list[DeadLetter]:
    """Every dead letter."""
    return [
        DEAD_LETTERS.validate_json(record.value or b"") async for record in past_records(settings, Topic.DEAD_LETTERS)
    ]


async def campaigns(system: System, events: int, media: int, seed: int) -> list[Told]:
    """One a role, and the files."""
    told = []
    for role in Role:
        count = events // 3 + (role is Role.CONTENT) * (events % 3)
        records = damaged_events(role, count, seed)
        told.append(await run_campaign(system, role, f"{role} events", records, together=max(1, count // 20)))
        print(f"{role}: {told[-1].sent} events, {told[-1].seconds:.0f} s", file=sys.stderr)
    files = damaged_files(media_seeds(), media, seed)
    told.append(await run_campaign(system, Role.CONTENT, "media files", files, together=max(1, media // 20)))
    return told


def keep(letters: list[DeadLetter]) -> None:
    """Write down what a defect was found with."""
    for number, letter in enumerate(each for each in letters if each.reason == "internal"):
        DEFECTS.mkdir(exist_ok=True)
        (DEFECTS / f"{letter.role}-{number}.bin").write_bytes(letter.original_value() or b"")
        print(f"defect: {letter.role}: {letter.message}", file=sys.stderr)


def main() -> int:
    """Run it and print what was measured."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzzing")
    options.add_argument("--events", type=int, default=50_000)
    options.add_argument("--media", type=int, default=5_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path)
    words = options.parse_args()
    for role in Role:
        event_seeds(role)
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as name:
        folder = Path(name)
        config = folder / "settings.yaml"
        config.write_text(yaml.safe_dump({"media": {"fetch_timeout_s": 1.0}, "model": {"profile": "deterministic"}}))
        with System(folder, Options(config=config, log_level="ERROR")) as system:
            told = asyncio.run(campaigns(system, words.events, words.media, words.seed))
            letters = asyncio.run(letters_of(system.settings.kafka))
        decoded = decode_apart(words.media, words.seed, folder)
    keep(letters)
    text = page(told, decoded, len(letters), vars(words))
    print(text)
    if words.out:
        words.out.write_text(text, encoding="utf-8")
    for problem in (found := problems_of(told, decoded, letters)):
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
