"""What is written on the command line becomes query parts."""

from pathlib import Path

import pytest
from PIL import Image

from config.errors import RejectEvent
from config.vocabulary import Modality
from workers.operate.query_parts import query_parts, split_weight, text_part


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("cat", ("cat", 1.0)),
        ("dog^-0.4", ("dog", -0.4)),
        ("a dog^.5", ("a dog", 0.5)),
        ("2^10", ("2", 10.0)),
        ("x^y", ("x^y", 1.0)),
        ("^2", ("^2", 1.0)),
        ("e^x^2", ("e^x", 2.0)),
        ("photo^1.jpg", ("photo^1.jpg", 1.0)),
    ],
)
def test_a_weight_follows_a_caret_at_the_end(written: str, expected: tuple[str, float]) -> None:
    """Only a number after the last caret is a weight."""
    assert split_weight(written) == expected


def test_files_go_inline_and_addresses_stay(tmp_path: Path) -> None:
    """A file's bytes travel with the query; an address is fetched by the worker."""
    path = tmp_path / "p.png"
    Image.new("RGB", (8, 8)).save(path)
    parts = query_parts(["猫"], {Modality.IMAGE: [f"{path}^-0.5", "https://example.org/a.png"]}, max_event_bytes=2**20)
    assert parts[0] == text_part("猫")
    assert parts[1]["weight"] == -0.5
    assert parts[1]["data"]
    assert parts[2] == {"modality": "image", "weight": 1.0, "uri": "https://example.org/a.png"}


def test_a_file_too_large_for_a_query_is_refused(tmp_path: Path) -> None:
    """With the way out."""
    path = tmp_path / "long.wav"
    path.write_bytes(bytes(20_000))
    with pytest.raises(RejectEvent, match=r"--audio: .*too many for one event"):
        query_parts([], {Modality.AUDIO: [str(path)]}, max_event_bytes=20_000)
