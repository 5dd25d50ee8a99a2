"""Settings: one reading, whole validation, no secrets in sight."""

import os
from pathlib import Path

import pytest

from config.errors import Misconfigured
from config.settings import load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests may leak in."""
    for name in os.environ:
        if name.upper().startswith("CROSSCURRENT_"):
            monkeypatch.delenv(name)


def test_defaults_need_neither_file_nor_environment() -> None:
    """A bare process gets settings that work on a laptop."""
    settings = load_settings()

    assert settings.kafka.bootstrap_servers == "localhost:9092"
    assert settings.model.profile == "builtin"


def test_command_line_beats_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer overrides single values of the one below and leaves the others."""
    file = tmp_path / "c.yaml"
    file.write_text("redis: {prefix: file, shards: 7, build_effort: 50}\n", encoding="utf-8")
    monkeypatch.setenv("CROSSCURRENT_REDIS__PREFIX", "environment")
    monkeypatch.setenv("CROSSCURRENT_REDIS__SHARDS", "5")

    redis = load_settings(file, {"redis": {"prefix": "argument"}}).redis

    assert (redis.prefix, redis.shards, redis.build_effort) == ("argument", 5, 50)


def test_the_file_may_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CROSSCURRENT_CONFIG names the file, as a mounted ConfigMap does."""
    file = tmp_path / "c.yaml"
    file.write_text("log_level: DEBUG\n", encoding="utf-8")
    monkeypatch.setenv("CROSSCURRENT_CONFIG", str(file))

    assert load_settings().log_level == "DEBUG"


def test_every_problem_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator repairs a configuration in one go."""
    monkeypatch.setenv("CROSSCURRENT_KAFKA__PARTITIONS", "0")
    monkeypatch.setenv("CROSSCURRENT_REDIS__SHARDS", "many")
    monkeypatch.setenv("CROSSCURRENT_REDIS__SHRADS", "2")
    monkeypatch.setenv("CROSSCURRENT_REDSI__URL", "redis://x")

    with pytest.raises(Misconfigured) as caught:
        load_settings()

    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert all(name in text for name in ("kafka.partitions", "redis.shards", "redis.shrads", "CROSSCURRENT_REDSI__URL"))


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings' text nor a validation error repeats a password or an address that holds one."""
    monkeypatch.setenv("CROSSCURRENT_REDIS__URL", "redis://:hunter2@host/0")
    monkeypatch.setenv("CROSSCURRENT_KAFKA__PASSWORD", "hunter2")

    assert "hunter2" not in repr(load_settings())

    monkeypatch.setenv("CROSSCURRENT_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(Misconfigured) as caught:
        load_settings()

    assert "kafka.username" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("text", "word"), [("[1, 2]", "mapping"), ("redis: {", "YAML")])
def test_a_broken_file_is_named(tmp_path: Path, text: str, word: str) -> None:
    """A file that is no YAML, or no mapping, is refused by name."""
    file = tmp_path / "broken.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(Misconfigured, match=word) as caught:
        load_settings(file)

    assert "broken.yaml" in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    """What was validated stays as it was."""
    settings = load_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.redis.shards = 3  # type: ignore[misc]
