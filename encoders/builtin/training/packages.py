"""Training data arrives as ordinary packages, at exact versions and with their hashes recorded here.

Nothing in this module runs when the model is used: the shipped weights need none of these packages.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from config.errors import Misconfigured

DEFAULT_CACHE = Path.home() / ".cache" / "crosscurrent" / "packages"
FETCH_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An exact release of a package.

    Attributes:
        registry: Where it comes from: ``npm`` (a tarball) or ``pypi`` (a wheel).
        name: The registry's name, scope included.
        version: Exact version.
        sha256: Hash of the archive, in hexadecimal digits.
        licence: SPDX identifier of what is used from it.
    """

    registry: Literal["npm", "pypi"]
    name: str
    version: str
    sha256: str
    licence: str


def fetch(package: Package, cache: Path = DEFAULT_CACHE) -> Path:
    """Return the archive of ``package``, downloading it into ``cache`` unless it lies there already.

    Raises:
        Misconfigured: The registry's client is missing or failed, or the archive's hash is not the recorded one.
    """
    folder = cache / f"{package.registry}-{_flat(package.name)}-{package.version}"
    archive = _only_file(folder)
    if archive is None:
        archive = _download(package, folder)
    found = file_sha256(archive)
    if found != package.sha256:
        raise Misconfigured(
            f"{archive} has sha256 {found}, expected {package.sha256} for {package.name} {package.version}: "
            "delete the file and try again; if it stays so, the registry serves another file than the one trained on"
        )
    return archive


def read_member(archive: Path, member: str) -> bytes:
    """Return one file of a tarball or wheel.

    Raises:
        KeyError: No such member.
    """
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as tarball:
        handle = tarball.extractfile(member)
        if handle is None:
            raise KeyError(member)
        return handle.read()


def read_json(archive: Path, member: str) -> Any:
    """Return one JSON file of a tarball or wheel, parsed."""
    return json.loads(read_member(archive, member))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _flat(name: str) -> str:
    return name.replace("@", "").replace("/", "-")


def _only_file(folder: Path) -> Path | None:
    return next((path for path in sorted(folder.glob("*")) if path.is_file()), None) if folder.is_dir() else None


def _download(package: Package, folder: Path) -> Path:
    # Into a folder beside it first: an interrupted download must not look like a cached one.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _run_client(_client_command(package, scratch), package, scratch)
        downloaded = _only_file(Path(scratch))
        if downloaded is None:
            raise Misconfigured(f"{package.registry} delivered no file for {package.name} {package.version}")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(downloaded, folder / downloaded.name))


def _client_command(package: Package, into: str) -> list[str]:
    if package.registry == "npm":
        return ["npm", "pack", "--silent", "--pack-destination", into, f"{package.name}@{package.version}"]
    requirement = f"{package.name}=={package.version}"
    return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", into, requirement]


def _run_client(command: list[str], package: Package, scratch: str) -> None:
    try:
        subprocess.run(  # noqa: S603 - a fixed client and a package name from this repository
            command, check=True, capture_output=True, text=True, cwd=scratch, timeout=FETCH_TIMEOUT_S
        )
    except FileNotFoundError as exc:
        raise Misconfigured(f"training needs {command[0]} to fetch {package.name}: install Node.js with npm") from exc
    except subprocess.SubprocessError as exc:
        detail = (getattr(exc, "stderr", None) or str(exc)).strip()
        raise Misconfigured(f"could not fetch {package.name} {package.version}: {detail}") from exc
