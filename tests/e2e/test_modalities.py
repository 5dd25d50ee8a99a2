"""A place, readings and a clip through the whole system: published over Kafka, indexed, and found by parts of queries.

Beside them, calibration: the query worker measures it on this very index while it answers.
"""

import base64
import io
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from config.vocabulary import ResultStatus, Role
from encoders.builtin.artifacts import IMAGE_FILE, TEXT_FILE, WEIGHTS
from encoders.builtin.corpus import Corpus
from encoders.builtin.places import WEIGHTS_FILE as LOCATION_FILE
from encoders.builtin.readings import WEIGHTS_FILE as SENSOR_FILE
from encoders.builtin.speech import WEIGHTS_FILE as SPEECH_FILE
from workers.contracts.result import Result
from workers.operate.cli_options import Options
from workers.operate.client import Client
from workers.operate.system import System

NEEDED = (TEXT_FILE, IMAGE_FILE, SPEECH_FILE, LOCATION_FILE, SENSOR_FILE)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not all((WEIGHTS / name).exists() for name in NEEDED), reason="no built-in weights here"),
]

FLAGS = ("flag: Japan", "flag: France", "flag: Kenya", "flag: Brazil", "flag: Canada", "flag: Australia")
CLIPS = ("cat", "rocket", "pizza", "bicycle")
OTHERS = ("dog face", "banana", "guitar", "umbrella", "key", "books")


def clip(picture: bytes) -> str:
    """Two seconds of a corpus picture as MP4, in base64."""
    shown = Image.open(io.BytesIO(picture)).convert("RGBA")
    pixels = np.asarray(Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB"))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def events() -> Iterator[dict[str, Any]]:
    """Flags with their places, weather with its readings, clips that hold nothing but pictures, and other things."""
    corpus = Corpus()
    weather = [item for item, measured in corpus.measures.items() if "sensor" in measured]
    wanted = {corpus.find(name).item_id for name in (*FLAGS, *OTHERS)} | set(weather)
    yield from (event for event in corpus.events("2026-01-01T00:00:00Z") if event["item_id"] in wanted)
    for name in CLIPS:
        data = {"data": clip(corpus.media(corpus.find(name).item_id, "image")), "media_type": "video/mp4"}
        yield {"type": "content.upsert", "item_id": f"clip-{name}", "modalities": {"video": data}}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Embedded servers and the three workers, over these events; calibration is measured every few seconds."""
    folder = tmp_path_factory.mktemp("system")
    config = folder / "settings.yaml"
    config.write_text("query: {calibration_refresh_s: 5, deadline_ms: 60000}\n", encoding="utf-8")
    with System(folder, Options(config=config), profile="builtin") as running:
        published = list(events())
        with Client(running.settings) as client:
            client.publish_many(published)
        wait_until(lambda: total(running, Role.CONTENT, "events_total", outcome="done") >= len(published))
        assert total(running, Role.CONTENT, "dead_letters_total") == 0
        yield running


def total(running: System, role: Role, name: str, **labels: str) -> float:
    """A metric of a worker."""
    running.check()
    return running.workers[role].metrics().total(f"crosscurrent_{name}", **labels)


def wait_until(condition: Any, *, within_s: float = 150.0) -> None:
    """Wait for something that is about to happen."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)


def ask(running: System, part: dict[str, Any], search_in: Sequence[str] | None = None) -> Result:
    """Ask with one part."""
    query = {"kind": "search", "parts": [part], "k": 3, "explain": True} | (
        {"search_in": search_in} if search_in else {}
    )
    with Client(running.settings) as client:
        result = client.query(query, timeout_s=60)
    assert result.status is ResultStatus.OK, result.error
    assert not result.warnings
    return result


def item_of(name: str) -> str:
    """Identifier of a corpus item."""
    return Corpus().find(name).item_id


@pytest.mark.parametrize(
    ("latitude", "longitude", "country"),
    [(34.69, 135.5, "flag: Japan"), (45.76, 4.84, "flag: France"), (-33.87, 151.21, "flag: Australia")],
)
def test_a_place_finds_what_lies_there(system: System, latitude: float, longitude: float, country: str) -> None:
    """Osaka, Lyon and Sydney find their countries' flags: by the flags' places, and by their pictures and names."""
    part = {"modality": "location", "latitude": latitude, "longitude": longitude}

    assert ask(system, part, ["location"]).hits[0].item_id == item_of(country)
    everywhere = ask(system, part)

    assert everywhere.hits[0].item_id == item_of(country)
    assert {"location", "image", "text"} <= everywhere.hits[0].modality_scores.keys()


def test_a_word_finds_an_item_by_its_place(system: System) -> None:
    """The other way round, among places alone."""
    assert ask(system, {"modality": "text", "text": "Kenya"}, ["location"]).hits[0].item_id == item_of("flag: Kenya")


@pytest.mark.parametrize("weather", [item for item, measured in Corpus().measures.items() if "sensor" in measured][:4])
def test_readings_find_their_weather(system: System, weather: str) -> None:
    """A day like the one that was indexed, warmer by a tenth of a degree and half as often, finds it first."""
    sensor = Corpus().measures[weather]["sensor"]
    warmer = [[None if value is None else value + 0.1 for value in row] for row in sensor["values"][::2]]
    part = {"modality": "sensor", **sensor, "values": warmer, "sample_rate_hz": sensor["sample_rate_hz"] / 2}

    result = ask(system, part, ["sensor"])

    assert weather in [hit.item_id for hit in result.hits[:2]]
    assert result.hits[0].modality_scores.keys() == {"sensor"}


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_found_by_words(system: System, name: str) -> None:
    """Its pictures stand for it, among clips and among everything."""
    part = {"modality": "text", "text": name}

    assert ask(system, part, ["video"]).hits[0].item_id == f"clip-{name}"
    assert f"clip-{name}" in [hit.item_id for hit in ask(system, part).hits]


def test_a_clip_finds_its_like(system: System) -> None:
    """A clip asks with its pictures: another format of the same pictures finds it."""
    data = clip(Corpus().media(item_of("rocket"), "image"))

    assert ask(system, {"modality": "video", "data": data, "media_type": "video/mp4"}).hits[0].item_id == "clip-rocket"


def test_calibration_is_measured_on_this_index(system: System) -> None:
    """The query worker samples what was indexed and says when it did; nothing failed on the way."""
    wait_until(lambda: total(system, Role.QUERIES, "calibration_timestamp_seconds") > 0, within_s=60)

    assert total(system, Role.QUERIES, "calibration_refreshes_total", outcome="replaced") >= 1
    assert total(system, Role.QUERIES, "calibration_refreshes_total", outcome="failed") == 0
