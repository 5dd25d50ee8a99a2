"""The command line: quick help, clear refusals, exit codes; nothing here needs a server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.programs import java, kafka
from workers.operate.cli import app
from workers.operate.data_folder import open_data
from workers.operate.release import Release

HEAVY = ("torch", "faust", "redis", "kafka", "aiokafka", "transformers", "numpy")


@pytest.fixture
def cli() -> CliRunner:
    """Runs commands in this process."""
    return CliRunner()


def test_help_imports_nothing_heavy() -> None:
    """``--help`` answers without the libraries that take seconds to load."""
    program = (
        "import sys; from typer.testing import CliRunner; from workers.operate.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "demo", "up", "worker", "publish content", "publish interactions", "publish folder", "query", "recommend",
        "similar", "summarize", "tags", "topics create", "topics list", "schema", "doctor", "rebuild", "train builtin",
        "train corpus", "evaluate", "evaluate photos", "evaluate fusion", "evaluate ranking", "evaluate recommend",
        "train fusion", "train sequence", "export joined", "weights show", "weights reset", "evaluate pairs",
        "evaluate heads", "train weights", "train alignment", "dead-letters list", "dead-letters show",
        "dead-letters count", "dead-letters replay", "dead-letters purge",
    ],
)  # fmt: skip
def test_every_command_has_help(cli: CliRunner, command: str) -> None:
    """Each command explains itself."""
    done = cli.invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage" in done.output


def test_wrong_settings_end_with_78_and_every_problem(cli: CliRunner, tmp_path: Path) -> None:
    """All problems at once, each on a line, no traceback."""
    config = tmp_path / "settings.yaml"
    config.write_text("kafka: {partitions: 0}\nredis: {shrads: 2}\n")
    done = cli.invoke(app, ["--config", str(config), "topics", "list"])
    assert done.exit_code == 78
    assert "2 problems" in done.stderr
    assert "kafka.partitions" in done.stderr
    assert "redis.shrads" in done.stderr
    assert "Traceback" not in done.output


def test_a_summary_needs_something_to_be_of(cli: CliRunner) -> None:
    """Without an item or a part there is nothing to ask; the message names the options."""
    done = cli.invoke(app, ["summarize", "--frames", "3"])
    assert done.exit_code == 2
    assert "--item, --text" in done.stderr


def test_one_problem_is_one_line(cli: CliRunner, tmp_path: Path) -> None:
    """A missing settings file is told in one line."""
    done = cli.invoke(app, ["--config", str(tmp_path / "none.yaml"), "topics", "list"])
    assert done.exit_code == 78
    assert done.stderr.strip().count("\n") == 0
    assert done.stderr.startswith("error: ")


def test_wrong_usage_ends_with_2(cli: CliRunner) -> None:
    """Unknown roles, nothing asked, half a place: usage errors."""
    for command in (["worker", "nothing"], ["query"], ["query", "--text", "a", "--near", "north"], ["nonsense"]):
        assert cli.invoke(app, command).exit_code == 2, command
    done = cli.invoke(app, ["query", "--text", "a", "--personalise", "0.5"])
    assert done.exit_code == 2
    assert "needs --user" in done.output


def test_an_unreadable_picture_is_refused_before_anything_is_sent(cli: CliRunner, tmp_path: Path) -> None:
    """The file and the option are named."""
    done = cli.invoke(app, ["query", "--image", str(tmp_path / "none.png")])
    assert done.exit_code == 2
    assert "--image" in done.stderr
    assert "none.png cannot be read (no such file or directory)" in done.stderr


def test_lines_are_checked_with_number_and_field(cli: CliRunner, tmp_path: Path) -> None:
    """A dry run tells good events from bad lines, and ends with 1."""
    file = tmp_path / "events.jsonl"
    good = {"type": "content.upsert", "item_id": "1", "modalities": {"text": {"text": "a"}}}
    bad = {"type": "content.upsert", "item_id": "2", "modalities": {"location": {"latitude": 91, "longitude": 0}}}
    lines = ["\ufeff" + json.dumps(good), "", json.dumps(bad), "{not json"]
    file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    done = cli.invoke(app, ["publish", "content", str(file), "--dry-run"])
    assert done.exit_code == 1
    assert "1 events are good" in done.stdout
    assert "line 3: modalities.location.latitude:" in done.stderr
    assert "line 4: " in done.stderr
    assert "line 5: not UTF-8" in done.stderr
    assert "3 lines were not published" in done.stderr


def test_standard_input_can_be_published(cli: CliRunner) -> None:
    """``-`` reads the lines from standard input."""
    event = json.dumps({"type": "user.forget", "user_id": "mika"})
    done = cli.invoke(app, ["publish", "interactions", "-", "--dry-run"], input=event + "\n")
    assert done.exit_code == 0, done.output
    assert "1 events are good" in done.stdout


def test_a_missing_file_or_folder_is_a_usage_error(cli: CliRunner, tmp_path: Path) -> None:
    """What cannot be read is named."""
    for command in (["content", "none.jsonl"], ["folder", str(tmp_path / "none")]):
        done = cli.invoke(app, ["publish", *command, "--dry-run"])
        assert done.exit_code == 2
        assert "none" in done.output


def test_a_durable_system_without_kafka_or_java_is_refused(
    cli: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are told with how to get them, and the folder is not touched."""
    for variable in ("KAFKA_HOME", "JAVA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = cli.invoke(app, ["up", "--data", str(tmp_path / "data")])
    assert done.exit_code == 78
    assert "error: 2 problems" in done.stderr
    assert "--data needs Apache Kafka, and KAFKA_HOME is not set: download" in done.stderr
    assert "no Java 17 or newer (PATH: no java there): install" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_data_folder_in_use_is_refused(cli: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second ``up`` on it ends with 78 before it starts anything."""
    monkeypatch.setenv("KAFKA_HOME", str(kafka(tmp_path, "4.2.1")))
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, "17.0.15").parent.parent))
    with open_data(tmp_path / "data", kafka=Release(4, 2, 1), redis=Release(8, 0, 0)):
        done = cli.invoke(app, ["up", "--data", str(tmp_path / "data")])
    assert done.exit_code == 78
    assert f"{tmp_path / 'data'} is in use by process {os.getpid()}" in done.stderr
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["crosscurrent.json", "lock"]


@pytest.mark.parametrize("words", [["--external"], ["--kafka-heap-mb", "64"], ["--kafka-heap-mb", "much"]])
def test_wrong_ways_to_keep_data_are_usage_errors(cli: CliRunner, tmp_path: Path, words: list[str]) -> None:
    """Servers of one's own keep their own data, and a broker needs some memory."""
    done = cli.invoke(app, ["up", "--data", str(tmp_path / "data"), *words])
    assert done.exit_code == 2
    assert words[0] in done.stderr


def test_schema_writes_the_documents(cli: CliRunner, tmp_path: Path) -> None:
    """The AsyncAPI document and a JSON Schema for each topic."""
    assert cli.invoke(app, ["schema", "--out", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "asyncapi.yaml").read_text().startswith("asyncapi: 3.0.0")
    assert json.loads((tmp_path / "schemas" / "content.json").read_text())["$schema"]
    assert cli.invoke(app, ["schema"]).stdout.startswith("asyncapi: 3.0.0")


def test_doctor_says_what_to_do(cli: CliRunner, tmp_path: Path, unused_tcp_port: int) -> None:
    """Nothing runs: the broker and Redis are trouble, the model is fine, the command ends with 1."""
    config = tmp_path / "settings.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: '127.0.0.1:{unused_tcp_port}'}}\n"
        f"redis: {{url: 'redis://127.0.0.1:{unused_tcp_port}/0'}}\n"
        "model: {profile: deterministic}\n"
        f"media: {{allowed_folders: ['{tmp_path}/none']}}\n"
    )
    done = cli.invoke(app, ["--config", str(config), "doctor"])
    assert done.exit_code == 1
    found = {line.split()[0]: line for line in done.stdout.splitlines() if line[:1].isalpha()}
    assert "ok" in found["settings"]
    assert "ok" in found["model"]
    for check in ("broker", "redis", "media"):
        assert "trouble" in found[check], done.stdout
    assert "kafka.bootstrap_servers" in done.stdout


def test_doctor_stops_at_wrong_settings(cli: CliRunner, tmp_path: Path) -> None:
    """Without settings nothing else can be checked; that is said."""
    config = tmp_path / "settings.yaml"
    config.write_text("modle: {}\n")
    done = cli.invoke(app, ["--config", str(config), "doctor"])
    assert done.exit_code == 1
    assert "modle" in done.stdout
    assert "the other checks need them" in done.stdout
