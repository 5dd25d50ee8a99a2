"""Label sets: the presets that ship are whole, and what cannot be told apart or named is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.errors import Misconfigured
from config.settings import load_settings
from config.tagging import MAX_LABELS, TaggingSettings, shipped_presets
from config.vocabulary import Modality

TWO = {"good": ["fine"], "bad": ["awful"]}


def sets(**fields: Any) -> dict[str, Any]:
    """Tagging settings with one set of these fields."""
    return {"sets": {"mood": {"labels": TWO} | fields}}


def problem(tagging: dict[str, Any]) -> str:
    """What is said of these tagging settings, which must be refused."""
    with pytest.raises(Misconfigured) as caught:
        load_settings(overrides={"tagging": tagging})
    assert all(each.startswith("tagging") for each in caught.value.problems)
    return str(caught.value)


def test_nothing_is_tagged_by_default() -> None:
    """Without a set there is none."""
    assert load_settings().tagging.label_sets() == {}


def test_every_preset_that_ships_can_be_chosen() -> None:
    """All together, each with several phrases a label."""
    chosen = TaggingSettings(presets=tuple(shipped_presets())).label_sets()
    assert list(chosen) == ["sentiment", "topics"]
    assert list(chosen["sentiment"].labels) == ["positive", "neutral", "negative"]
    assert not chosen["sentiment"].multi
    assert chosen["topics"].multi
    assert len(chosen["topics"].labels) == 12
    assert all(len(phrases) >= 10 for each in chosen.values() for phrases in each.labels.values())


def test_a_preset_is_one_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are JSON in the environment, and so are whole sets."""
    monkeypatch.setenv("CROSSCURRENT_TAGGING__PRESETS", '["sentiment"]')
    monkeypatch.setenv("CROSSCURRENT_TAGGING__SETS", '{"mood": {"labels": {"a": ["b"], "c": ["d"]}}}')
    assert list(load_settings().tagging.label_sets()) == ["sentiment", "mood"]


def test_a_set_of_ones_own_has_its_fields() -> None:
    """Phrases in any language, what is otherwise, and what is read."""
    mood = TaggingSettings.model_validate(sets(otherwise=["天气"], modalities=["text"], multi=True)).label_sets()[
        "mood"
    ]
    assert mood.otherwise == ("天气",)
    assert mood.modalities == (Modality.TEXT,)


@pytest.mark.parametrize(
    ("tagging", "said"),
    [
        ({"presets": ["topic"]}, "no such preset: topic; there are sentiment, topics"),
        ({"presets": ["topics"], "sets": {"topics": {"labels": TWO}}}, "a preset and a set of your own"),
        ({"sets": {"latitude": {"labels": TWO}}}, "cannot be called latitude"),
        ({"sets": {"mood_confidence": {"labels": TWO}}}, "cannot be called mood_confidence"),
        ({"sets": {"my-mood": {"labels": TWO}}}, "String should match pattern"),
        (sets(labels={"good": ["fine"]}), "one label alone"),
        (sets(labels={"good": ["fine"], "bad": []}), "at least 1 item"),
        (sets(labels={"good": ["fine"], "bad": [" "]}), "String should match pattern"),
        (sets(labels={"good": ["fine"], "b\\ad": ["awful"]}), "String should match pattern"),
        (sets(labels={"good": ["fine"], "bad": ["awful", "Fine "]}), "stands under good and under bad"),
        (sets(modalities=["video"]), "video has no vectors of its own"),
        (sets(min_confidence=1.5), "less than or equal to 1"),
        (sets(multy=True), "Extra inputs are not permitted"),
        ({"window_s": 1, "grace_s": 10_001}, "more than 10000 windows open"),
        (sets(labels={f"l{n}": [f"p{n}"] for n in range(MAX_LABELS + 1)}), f"at most {MAX_LABELS} are allowed"),
    ],
)
def test_what_cannot_work_is_refused(tagging: dict[str, Any], said: str) -> None:
    """Before anything is started, with the way out."""
    assert said in problem(tagging)


def test_one_label_is_enough_where_something_else_is_named() -> None:
    """``otherwise`` is what the label is told from."""
    assert load_settings(overrides={"tagging": sets(labels={"spam": ["buy now"]}, otherwise=["hello"])})


def test_the_pages_own_examples_can_be_used() -> None:
    """Every block of settings in docs/tagging.md loads, and names sets."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "tagging.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    loaded = [load_settings(overrides=yaml.safe_load(block)).tagging.label_sets() for block in blocks]
    assert [list(sets) for sets in loaded] == [["sentiment", "topics"], ["urgency", "products"]]
