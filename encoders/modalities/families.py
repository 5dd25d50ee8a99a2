"""Which class reads which family of published models, and whether what a profile mixes shares one space."""

from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig

from config.errors import Misconfigured
from config.profiles import EncoderProfile, ModelSource
from config.vocabulary import Modality, ModelRef
from encoders.alignment.heads import Head, head_path, load_head
from encoders.base import Encoder
from encoders.modalities.clap import ClapAudioEncoder, load_clap
from encoders.modalities.clip import ClipImageEncoder, ClipTextEncoder, load_clip
from encoders.modalities.pretrained import load_part

_ENCODERS: Final[dict[tuple[str, Modality], Any]] = {
    ("clip", Modality.TEXT): ClipTextEncoder,
    ("clip", Modality.IMAGE): ClipImageEncoder,
    ("clap", Modality.AUDIO): ClapAudioEncoder,
}
_NETWORKS: Final = {"clip": load_clip, "clap": load_clap}


def load_family_encoders(
    profile: EncoderProfile, model: ModelRef, device: torch.device, *, unaligned: bool = False
) -> dict[Modality, Encoder]:
    """Load every modality's encoder; modalities that name the same model share its weights.

    Args:
        profile: What to load.
        model: Identity of the space.
        device: Where it runs.
        unaligned: Leave heads out; each modality then has its model's own space and length.

    Raises:
        Misconfigured: With every problem: spaces that do not meet, unknown families, what cannot be loaded.
    """
    if not unaligned and (problems := space_problems(profile)):
        raise Misconfigured(*problems)
    networks: dict[ModelSource, Any] = {}
    encoders: dict[Modality, Encoder] = {}
    for modality, source in profile.modalities.items():
        if source is None:
            raise Misconfigured(f"profile {profile.name}: modalities.{modality} names no model")
        family = load_part(AutoConfig.from_pretrained, source, profile).model_type
        cls = _encoder_class(profile, modality, source, family)
        if source not in networks:
            networks[source] = _NETWORKS[family](source, profile, device)
        source_dims = cls.source_dims(networks[source])
        head = None if unaligned else _head(profile, modality, source_dims)
        dims = source_dims if unaligned else profile.dims
        shared = {"model": model, "dims": dims, "head": head, "device": device}
        encoders[modality] = cls(networks[source], source, profile, **shared)
    return encoders


def space_problems(profile: EncoderProfile) -> list[str]:
    """Name the modalities whose vectors would lie in a space of their own, where comparing them means nothing."""
    anchor = profile.modalities.get(Modality.TEXT) or next(iter(profile.modalities.values()))
    return [
        f"profile {profile.name}: {modality} comes from {source.model}, whose space is not that of {anchor.model}; "
        f"train a head with `crosscurrent train alignment` and name its folder as `heads`, or leave {modality} out"
        for modality, source in profile.modalities.items()
        if source is not None and anchor is not None and source != anchor and not _has_head(profile.heads, modality)
    ]


def _has_head(heads: Path | None, modality: Modality) -> bool:
    return heads is not None and head_path(heads, modality).is_file()


def _encoder_class(profile: EncoderProfile, modality: Modality, source: ModelSource, family: str) -> Any:
    cls = _ENCODERS.get((family, modality))
    if cls is None:
        known = ", ".join(f"{name} for {kind}" for name, kind in _ENCODERS)
        raise Misconfigured(
            f"profile {profile.name}: {source.model} is of the family {family!r}, which is not known for {modality}; "
            f"known are {known}"
        )
    return cls


def _head(profile: EncoderProfile, modality: Modality, source_dims: int) -> Head | None:
    dims = profile.dims or 0
    head = load_head(profile.heads, modality, source=source_dims, dims=dims) if profile.heads else None
    if head is None and source_dims != dims:
        raise Misconfigured(
            f"profile {profile.name}: {modality} vectors have {source_dims} numbers where dims says {dims}; "
            "correct dims, or train a head with `crosscurrent train alignment`"
        )
    return head
