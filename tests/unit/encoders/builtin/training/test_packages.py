"""Packages for training: exact versions, checked, fetched once."""

import hashlib
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from config.errors import Misconfigured
from encoders.builtin.training.packages import Package, fetch, file_sha256, read_json, read_member

CLIENT = """#!/bin/sh
# Stands in for npm: counts its calls and packs whatever "payload" holds into the folder that --pack-destination names.
echo call >> "{calls}"
[ -f "{payload}" ] || {{ echo "no such version" >&2; exit 1; }}
cp "{payload}" "$4/thing-1.0.0.tgz"
"""


@pytest.fixture
def payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tarball that a stand-in for npm, first on the path, delivers; its calls are counted in ``calls``."""
    source = tmp_path / "data.json"
    source.write_text('{"answer": 42}', encoding="utf-8")
    path = tmp_path / "payload"
    with tarfile.open(path, "w:gz") as tarball:
        tarball.add(source, "package/data.json")
        tarball.add(tmp_path, "package/folder", recursive=False)
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(CLIENT.format(calls=tmp_path / "calls", payload=path), encoding="utf-8")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    return path


def _package(sha256: str) -> Package:
    return Package(registry="npm", name="@scope/thing", version="1.0.0", sha256=sha256, licence="MIT")


def test_a_package_is_fetched_once(payload: Path, tmp_path: Path) -> None:
    """The second request is served from the cache."""
    package = _package(file_sha256(payload))
    first = fetch(package, tmp_path / "cache")
    assert fetch(package, tmp_path / "cache") == first
    assert read_json(first, "package/data.json") == {"answer": 42}
    assert (tmp_path / "calls").read_text(encoding="utf-8").count("call") == 1


def test_another_file_is_refused(payload: Path, tmp_path: Path) -> None:
    """What the registry serves must be what the model was trained on."""
    with pytest.raises(Misconfigured, match="expected 0000"):
        fetch(_package("0000"), tmp_path / "cache")


def test_a_registry_that_fails_is_reported_and_leaves_nothing(payload: Path, tmp_path: Path) -> None:
    """The client's own words are in the error, and no half package stays in the cache."""
    payload.unlink()
    with pytest.raises(Misconfigured, match=r"thing 1\.0\.0: no such version"):
        fetch(_package("0000"), tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match=r"install Node\.js"):
        fetch(_package("0000"), tmp_path / "cache")


def test_members_of_wheels_and_tarballs_are_read(payload: Path, tmp_path: Path) -> None:
    """Both archive kinds give their files; a folder or a missing name is a KeyError."""
    wheel = tmp_path / "thing.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/data.txt", "words")
    assert read_member(wheel, "thing/data.txt") == b"words"
    for path, member in ((wheel, "absent"), (payload, "absent"), (payload, "package/folder")):
        with pytest.raises(KeyError):
            read_member(path, member)


def test_a_hash_is_sha256(tmp_path: Path) -> None:
    """Recorded hashes can be checked with any tool."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    assert file_sha256(path) == hashlib.sha256(b"x" * 1000).hexdigest()
