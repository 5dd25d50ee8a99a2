"""``evaluate recommend`` and ``train sequence`` from files: no server is needed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import Misconfigured
from config.settings import PeopleSettings, Settings
from config.vocabulary import ModelRef
from fusion.learning.generated_log import GeneratedShape, generate_log
from fusion.learning.interaction_log import write_log, write_vectors
from fusion.learning.sequence import SequenceNetwork
from workers.contracts.interaction import Interaction, UserForget
from workers.operate.cli import app
from workers.operate.past_interactions import Happened, PastActions
from workers.streams.compose_queries import _sequence


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small log with its items beside it."""
    file = tmp_path_factory.mktemp("log") / "log.csv"
    made, vectors = generate_log(2, GeneratedShape(users=120, items=100, themes=8, dims=16))
    write_log(made, file)
    write_vectors(vectors, Path(f"{file}.items.npz"))
    return file


def test_a_log_is_evaluated_with_the_items_beside_it(log: Path) -> None:
    """As a table for people and as JSON for programs, with every baseline in the same run."""
    done = CliRunner().invoke(app, ["evaluate", "recommend", str(log), "--queries", "60", "--no-sequence", "--json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert {"popularity", "item-kNN", "matrix factorisation", "profiles + co-visitation"} <= set(made["recommenders"])
    assert made["vectors"].startswith("content, from log.csv.items.npz (100 of 100 items)")
    assert made["queries"] == 60


def test_a_sequence_model_is_trained_from_a_file(log: Path, tmp_path: Path) -> None:
    """And says where to name it; a worker of another space refuses it."""
    out = tmp_path / "model"
    words = ["train", "sequence", "--file", str(log), "--items", f"{log}.items.npz", "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--epochs", "2", "--width", "16", "--layers", "1"])
    assert done.exit_code == 0, done.output
    assert f"people.sequence_model: {out}" in done.stdout
    assert SequenceNetwork.load(out).shape.dims == 16
    with pytest.raises(Misconfigured, match="trained on vectors of a file"):
        _sequence(Settings(people=PeopleSettings(sequence_model=out)), ModelRef("builtin", "2"))


def test_past_actions_count_once_and_nothing_of_the_forgotten() -> None:
    """Whatever order the events come in; ratings tell likes from dislikes, impressions tell nothing."""

    def event(event_id: str, user_id: str = "u", action: str = "click", **fields: object) -> Interaction:
        named = {"event_id": event_id, "user_id": user_id, "item_id": f"i{event_id}", "action": action, **fields}
        return Interaction.model_validate_json(json.dumps(named))

    past = PastActions(PeopleSettings())
    for happened in (
        Happened(event=event("1", "gone"), at_ms=5),
        Happened(event=UserForget.model_validate({"user_id": "gone"}), at_ms=10),
        Happened(event=event("2", "gone"), at_ms=11),
        Happened(event=event("3"), at_ms=20),
        Happened(event=event("3"), at_ms=20),
        Happened(event=event("4", action="impression"), at_ms=21),
        Happened(event=event("5", action="rate", value=3.0), at_ms=22),
        Happened(event=event("6", action="dislike"), at_ms=23),
    ):
        past.add(happened)
    assert past.rows() == [
        ("gone", "i2", 11, True),
        ("u", "i3", 20, True),
        ("u", "i5", 22, False),
        ("u", "i6", 23, False),
    ]
