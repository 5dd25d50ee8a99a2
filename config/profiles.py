"""Encoder profiles: which models make up one aligned space, read from YAML and validated whole.

A profile ships under ``config/profiles/`` and is chosen by its name, or lies anywhere and is chosen by its path.
"""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from config.errors import Misconfigured
from config.vocabulary import Modality

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelSource(_Part):
    """Where one modality's model comes from."""

    model: str = Field(min_length=1)
    """Hub id (``owner/name``) or the folder of a saved model; a relative folder is looked up beside the profile."""
    revision: str | None = None
    """Full commit of the hub repository: required with a hub id, so that weights never change unasked."""
    prefix: str = Field("", max_length=200)
    """Words before every text, where the model was trained with them (``query: `` for E5)."""

    @property
    def is_folder(self) -> bool:
        """Whether the model is on this machine rather than on a hub."""
        return Path(self.model).is_absolute()

    @property
    def weights(self) -> tuple[str, str | None]:
        """What is loaded: sources that agree in it share one network and one space."""
        return self.model, self.revision


class EncoderProfile(_Part):
    """One aligned space: a name, a version, and the models whose vectors share it."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Part of every vector's key, so it stays short and free of separators."""
    version: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Raise it whenever vectors change; the built-in weights carry their own."""
    kind: Literal["builtin", "transformers", "deterministic"]
    """Which loader reads it."""
    dims: int | None = Field(None, ge=2, le=65_536)
    """Length of the vectors; the built-in weights carry their own."""
    modalities: Mapping[Modality, ModelSource | None] = Field(min_length=1)
    """What the profile encodes, and with which model where the kind has a choice."""
    heads: Path | None = None
    """Folder of alignment heads (``<modality>.safetensors``); a modality without one keeps its model's own space."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Precision of the forward pass; ``auto`` is half precision on a GPU and single precision on a CPU."""
    local_files_only: bool = False
    """Never ask a hub: load what is already on this machine or refuse to start."""

    @field_validator("modalities")
    @classmethod
    def _encoders_take_no_clips(cls, modalities: Mapping[Modality, Any]) -> Mapping[Modality, Any]:
        if Modality.VIDEO in modalities:
            msg = "video has no encoder of its own: a clip is encoded as its pictures and its sound; remove it"
            raise ValueError(msg)
        return modalities


def load_profile(name_or_path: str) -> EncoderProfile:
    """Read a profile by the name of one that ships, or by the path of a YAML file.

    Raises:
        Misconfigured: With every problem found.
    """
    path = _locate(name_or_path)
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise Misconfigured(f"model.profile: {path} cannot be read ({exc.strerror})") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"model.profile: {path} is not valid YAML: {exc}") from exc
    try:
        profile = EncoderProfile.model_validate(_anchored(read, path.parent))
    except ValidationError as exc:
        problems = [f"{path.name}: {'.'.join(map(str, e['loc'])) or 'profile'}: {e['msg']}" for e in exc.errors()]
        raise Misconfigured(*problems) from exc
    if problems := [f"{path.name}: {problem}" for problem in _contradictions(profile)]:
        raise Misconfigured(*problems)
    return profile


def shipped_profiles() -> list[str]:
    """Names of the profiles that ship."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _folder() -> Path:
    return Path(str(resources.files("config"))) / "profiles"


def _locate(name_or_path: str) -> Path:
    if name_or_path in shipped_profiles():
        return _folder() / f"{name_or_path}.yaml"
    if (path := Path(name_or_path)).is_file():
        return path.resolve()
    raise Misconfigured(
        f"model.profile: {name_or_path!r} is neither a shipped profile ({', '.join(shipped_profiles())}) nor a file"
    )


def _anchored(read: Any, folder: Path) -> Any:
    """Make folders named in the profile absolute, so that they do not depend on where the process was started."""
    if not isinstance(read, dict):
        return read
    if isinstance(heads := read.get("heads"), str):
        read = {**read, "heads": folder / heads}
    sources = read.get("modalities")
    if isinstance(sources, dict):
        read = {**read, "modalities": {name: _anchored_source(source, folder) for name, source in sources.items()}}
    return read


def _anchored_source(source: Any, folder: Path) -> Any:
    model = source.get("model") if isinstance(source, dict) else None
    if isinstance(model, str) and (folder / model).is_dir():
        return {**source, "model": str((folder / model).resolve())}
    return source


def _contradictions(profile: EncoderProfile) -> list[str]:
    problems = []
    if profile.kind != "builtin":
        problems += [
            f"{name}: required for kind {profile.kind}" for name in ("version", "dims") if not getattr(profile, name)
        ]
    for modality, source in profile.modalities.items():
        where = f"modalities.{modality}"
        if profile.kind == "transformers":
            problems += _source_problems(where, source)
            if source is not None and source.prefix and modality is not Modality.TEXT:
                problems.append(f"{where}.prefix: words can stand before texts only; remove it")
        elif source is not None:
            problems.append(f"{where}: kind {profile.kind} brings its own model; leave the value empty")
    if profile.heads is not None and not profile.heads.is_dir():
        problems.append(f"heads: {profile.heads} is not a folder; write one with `crosscurrent train alignment`")
    return problems


def _source_problems(where: str, source: ModelSource | None) -> list[str]:
    if source is None:
        return [f"{where}: name a model, as a hub id or a folder"]
    if source.is_folder:
        return [] if Path(source.model).is_dir() else [f"{where}.model: {source.model} is not a folder"]
    if not _HUB_ID.fullmatch(source.model):
        return [f"{where}.model: {source.model!r} is neither a folder beside the profile nor a hub id owner/name"]
    if source.revision is None or not _COMMIT.fullmatch(source.revision):
        return [f"{where}.revision: pin the full 40-digit commit of {source.model}, so its weights cannot change"]
    return []
