"""Which aligned space the settings name, told without loading it: for workers that read vectors and embed nothing."""

import json
from dataclasses import dataclass
from pathlib import Path

from config.errors import Misconfigured
from config.profiles import load_profile
from config.settings import ModelSettings
from config.vocabulary import ModelRef
from encoders.alignment.record import load_record, locate

# The same file that ``encoders.builtin.artifacts`` reads, which imports torch.
_BUILTIN_MANIFEST = Path(__file__).parent / "builtin" / "weights" / "manifest.json"
_DETERMINISTIC_DIMS = 256  # as the registry has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """An aligned space.

    Args:
        dims: Length of its vectors.
    """

    model: ModelRef
    dims: int


def identify(settings: ModelSettings) -> Space:
    """Return the space of the settings' profile; imports no deep-learning library.

    Raises:
        Misconfigured: The profile is wrong, names no length, or its weights or heads are missing.
    """
    if settings.heads is not None:
        alignment = load_record(locate(settings.heads, settings.heads_dir))
        return Space(model=alignment.model, dims=alignment.dims)
    profile = load_profile(settings.profile)
    if profile.kind == "builtin":
        return _builtin_space(_BUILTIN_MANIFEST)
    dims = profile.dims or (_DETERMINISTIC_DIMS if profile.kind == "deterministic" else None)
    if dims is None:
        raise Misconfigured(f"profile {profile.name}: dims is missing; say how long its vectors are")
    return Space(model=ModelRef(profile.name, profile.version or "1"), dims=dims)


def _builtin_space(path: Path) -> Space:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Space(model=ModelRef.parse(raw["model"]), dims=int(raw["dims"]))
    except FileNotFoundError as exc:
        raise Misconfigured(f"no built-in model at {path}: run 'crosscurrent train builtin' or reinstall") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise Misconfigured(f"{path} is not a manifest of the built-in model: {exc!r}") from exc
