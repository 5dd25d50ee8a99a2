"""``evaluate pairs`` from a file to a table, JSON and a picture; nothing here needs weights."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from config.errors import Misconfigured
from config.settings import ModelSettings, Settings
from config.vocabulary import Modality, Similarity
from encoders.registry import load_encoders
from tests.unit.workers.streams.support import clip, inline, png
from workers.operate.cli import app
from workers.operate.collection import Collection, from_file
from workers.operate.heat_map import check_target, draw_heat_map
from workers.operate.item_vectors import Encoding, encode_items
from workers.operate.measuring import comparison, encode

SETTINGS = Settings(model=ModelSettings(profile="deterministic"))


def item(item_id: str, attributes: dict[str, Any] | None = None, **modalities: Any) -> dict[str, Any]:
    """A content event."""
    return {
        "type": "content.upsert",
        "item_id": item_id,
        "modalities": modalities,
        "attributes": attributes or {},
    }


def written(folder: Path, *events: dict[str, Any]) -> Path:
    """A file of events."""
    file = folder / "items.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Texts in two languages, a picture, a clip with a sound and a place, of two kinds; and one item that is broken."""
    events = (
        item("a", {"kind": "x"}, text={"text": "red cat", "language": "en"}, image=inline(png())),
        item("b", {"kind": "y"}, text={"text": "gato", "language": "es"}, video=inline(clip(sound=True))),
        item("c", {"kind": "y"}, text={"text": "blue dog", "language": "en"}),
        item("d", {"kind": "x", "of": "nothing"}, location={"latitude": 1.0, "longitude": 2.0}),
        item("bad", image=inline(b"no picture")),
    )
    return written(tmp_path, *events)


@pytest.fixture
def cli() -> CliRunner:
    """Runs commands in this process."""
    return CliRunner()


def run(cli: CliRunner, file: Path, *more: str) -> Any:
    """The command on a file, with everything it keeps beside it."""
    command = ["evaluate", "pairs", "--pairs", str(file), "--profile", "deterministic", "--cache", str(file.parent)]
    return cli.invoke(app, [*command, *more])


def test_every_ordered_pair_has_scores_or_says_that_nothing_is_shared(cli: CliRunner, file: Path) -> None:
    """Four modalities make twelve pairs; text and image share an item, image and clip none; the bad item is told."""
    done = run(cli, file, "--json")
    assert done.exit_code == 0, done.output

    report = json.loads(done.stdout)

    assert len(report["pairs"]) == 12
    assert report["pairs"]["text>image"]["queries"] == 1
    assert report["pairs"]["text>video"]["recall_at_1"] == 1.0
    assert report["pairs"]["image>video"] is None
    assert report["pairs"]["location>text"] is None
    assert report["languages"].keys() == {"en", "es"}
    assert report["languages"]["en"]["text>video"] is None
    assert "item bad" in report["problems"][0]
    assert "no shared items" in run(cli, file).stdout


def test_items_that_show_the_same_find_each_other(cli: CliRunner, file: Path) -> None:
    """By an attribute: the place and the picture are of one kind now, and each group is scored by itself."""
    report = json.loads(run(cli, file, "--json", "--same", "kind", "--group", "kind").stdout)

    assert report["pairs"]["location>image"]["recall_at_1"] == 1.0
    assert report["pairs"]["text>video"]["queries"] == 2
    assert report["groups"].keys() == {"x", "y"}
    assert report["groups"]["x"]["text>video"] is None
    assert "recall@10 / nDCG@10 by group" in run(cli, file, "--group", "kind", "--by", "group").stdout


def test_what_cannot_be_is_refused(cli: CliRunner, file: Path) -> None:
    """Before anything is encoded: another ending, an attribute that nobody has, two kinds of data, no weights."""
    for more, told in (
        (("--plot", "map.pdf"), ".svg or .png"),
        (("--group", "colour"), "no item has the attribute 'colour'"),
        (("--held-out",), "leave it out with --pairs"),
        (("--similarity", "weighted_cosine"), "crosscurrent train weights"),
    ):
        done = run(cli, file, *more)
        assert done.exit_code in (2, 78)
        assert told in done.output, done.output


def test_a_clip_is_one_vector_between_its_pictures_and_its_sound(file: Path) -> None:
    """Whole, beside a picture of its own or not; in parts, as a content worker has it, otherwise."""
    encoders = load_encoders(SETTINGS.model)
    items = from_file(file, SETTINGS).items[:2]
    encoding = Encoding(encoders=encoders, settings=SETTINGS)

    parts = encode_items(items, encoding, []).vectors
    whole = encode_items(items, Encoding(encoders=encoders, settings=SETTINGS, whole_clips=True), []).vectors

    assert Modality.VIDEO not in parts
    assert Modality.AUDIO not in whole
    between = parts[Modality.IMAGE][1] + parts[Modality.AUDIO][1]
    np.testing.assert_allclose(whole[Modality.VIDEO][1], between / np.linalg.norm(between), atol=1e-6)
    assert np.isnan(whole[Modality.IMAGE][1]).all()


def test_vectors_are_kept_until_an_item_changes(tmp_path: Path) -> None:
    """The second time nothing is encoded; a changed text is."""
    encoders = load_encoders(SETTINGS.model)

    def vectors(text: str) -> np.ndarray:
        found = from_file(written(tmp_path, item("a", text={"text": text})), SETTINGS)
        return encode(found, encoders, SETTINGS, tmp_path, whole_clips=True).features.vectors[Modality.TEXT]

    first = vectors("cat")
    [kept] = (tmp_path / "features").iterdir()
    stamp = kept.stat().st_mtime_ns
    assert (vectors("cat") == first).all()
    assert kept.stat().st_mtime_ns == stamp
    assert (vectors("dog") != first).any()


def test_questions_ask_by_name_in_every_language() -> None:
    """Attributes with the name's start are names; others are not."""
    from workers.contracts.content import CONTENT_EVENTS

    event = item("a", {"name": "cat", "name_zh": "猫", "named": "no", "kind": "x"}, text={"text": "cat: pet"})
    found = Collection(title="t", items=[CONTENT_EVENTS.validate_python(event)], name="name")  # type: ignore[list-item]

    assert [(one.item_id, one.modalities.text.text) for one in found.questions() if one.modalities.text] == [
        ("en|a", "cat"),
        ("zh|a", "猫"),
    ]
    assert not Collection(title="t", items=found.items).questions()


def test_the_similarity_is_the_one_that_serves() -> None:
    """Weights reach it, and without them the weighted cosine is refused."""
    rows = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    weighted = comparison(Similarity.WEIGHTED_COSINE, np.array([5.0, 1.0, 1.0, 1.0]), "m")

    assert not np.allclose(weighted(rows, rows), comparison(Similarity.COSINE, None, "m")(rows, rows))
    with pytest.raises(Misconfigured, match="no weights per dimension"):
        comparison(Similarity.WEIGHTED_COSINE, None, "m@1")


SCORE = {"recall_at_10": 0.987, "ndcg_at_10": 0.123}
REPORT = {
    "model": "m@1",
    "title": "things",
    "similarity": "cosine",
    "pairs": {"text>image": SCORE, "image>text": SCORE, "text>sensor": SCORE, "image>sensor": None},
}


class TestHeatMap:
    """The picture of a report."""

    def test_numbers_stand_in_the_cells(self, tmp_path: Path) -> None:
        """As text in the SVG, of modalities that have any; two drawings of one report are one file."""
        pytest.importorskip("matplotlib")
        files = [tmp_path / "a.svg", tmp_path / "b.svg"]
        for file in files:
            draw_heat_map(REPORT, file)

        drawn = files[0].read_text(encoding="utf-8")

        assert drawn == files[1].read_text(encoding="utf-8")
        for words in ("recall@10", "nDCG@10", "0.99", "0.12", "sensor", "m@1"):
            assert f">{words}" in drawn or f"{words}<" in drawn, words
        assert "audio" not in drawn

    def test_png_is_drawn_too(self, tmp_path: Path) -> None:
        """By the file's ending."""
        pytest.importorskip("matplotlib")
        draw_heat_map(REPORT, tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_without_matplotlib_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before anything is measured."""
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(Misconfigured, match=r"crosscurrent\[train\]"):
            check_target(Path("a.svg"))
