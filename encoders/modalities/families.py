"""Which classes read which family of published models, and whether what a profile mixes shares one space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig

from config.errors import Misconfigured
from config.profiles import EncoderProfile
from config.vocabulary import Modality, ModelRef
from encoders.alignment.heads import Head, head_path, load_head
from encoders.base import Encoder
from encoders.modalities.clap import ClapAudioEncoder, ClapTextEncoder, load_clap
from encoders.modalities.dual import DualImageEncoder, DualTextEncoder, is_dual, load_dual
from encoders.modalities.pe_av import PeAudioEncoder, PeImageEncoder, PeTextEncoder, load_pe_av
from encoders.modalities.pretrained import ModelUse
from encoders.modalities.sentence import FAMILIES as SENTENCE_FAMILIES
from encoders.modalities.sentence import SentenceEncoder, is_sentence, load_sentence
from encoders.modalities.siglip import (
    NaflexImageEncoder,
    SiglipImageEncoder,
    SiglipTextEncoder,
    load_naflex,
    load_siglip,
)


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture: who loads its weights, and who encodes what with them."""

    load: Callable[[ModelUse], Any]
    encoders: Mapping[Modality, Any]


_DUAL: Final = Family(load_dual, {Modality.TEXT: DualTextEncoder, Modality.IMAGE: DualImageEncoder})
_SENTENCE: Final = Family(load_sentence, {Modality.TEXT: SentenceEncoder})
_FAMILIES: Final[dict[str, Family]] = {
    "clip": _DUAL,
    "siglip": Family(load_siglip, {Modality.TEXT: SiglipTextEncoder, Modality.IMAGE: SiglipImageEncoder}),
    "siglip2": Family(load_naflex, {Modality.TEXT: SiglipTextEncoder, Modality.IMAGE: NaflexImageEncoder}),
    "clap": Family(load_clap, {Modality.TEXT: ClapTextEncoder, Modality.AUDIO: ClapAudioEncoder}),
    "pe_audio_video": Family(
        load_pe_av,
        {Modality.TEXT: PeTextEncoder, Modality.IMAGE: PeImageEncoder, Modality.AUDIO: PeAudioEncoder},
    ),
}


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
    families: dict[tuple[str, str | None], Family] = {}
    networks: dict[tuple[str, str | None], Any] = {}
    encoders: dict[Modality, Encoder] = {}
    for modality in profile.modalities:
        use = _use(profile, modality, device)
        weights = use.source.weights
        if weights not in families:
            families[weights] = family_of(use.load(AutoConfig.from_pretrained), use)
        cls = _encoder_class(families[weights], use, modality)
        if weights not in networks:
            networks[weights] = families[weights].load(use)
        network = networks[weights]
        source_dims = cls.source_dims(network, use)
        head = None if unaligned else _head(profile, modality, source_dims)
        dims = source_dims if unaligned else profile.dims
        encoders[modality] = cls(network, use, model=model, dims=dims, head=head, device=device)
    return encoders


def family_of(config: Any, use: ModelUse) -> Family:
    """Return who reads a model with this configuration of ``transformers``.

    Raises:
        Misconfigured: Nobody does.
    """
    family = _FAMILIES.get(config.model_type) or (
        _DUAL if is_dual(config) else _SENTENCE if is_sentence(config) else None
    )
    if family is None:
        raise Misconfigured(
            f"profile {use.profile.name}: {use.source.model} is of the family {config.model_type!r}, which is not "
            f"known; known are {', '.join(_FAMILIES)}, dual encoders whose class has get_text_features and "
            f"get_image_features, and language models for text ({', '.join(sorted(SENTENCE_FAMILIES))})"
        )
    return family


def space_problems(profile: EncoderProfile) -> list[str]:
    """Name the modalities whose vectors would lie in a space of their own, where comparing them means nothing."""
    anchor = profile.modalities.get(Modality.TEXT) or next(iter(profile.modalities.values()))
    return [
        f"profile {profile.name}: {modality} comes from {source.model}, whose space is not that of {anchor.model}; "
        f"train heads with `crosscurrent train alignment` and name them as `model.heads`, or leave {modality} out"
        for modality, source in profile.modalities.items()
        if source is not None
        and anchor is not None
        and source.weights != anchor.weights
        and not _has_head(profile.heads, modality)
    ]


def _use(profile: EncoderProfile, modality: Modality, device: torch.device) -> ModelUse:
    source = profile.modalities[modality]
    if source is None:
        raise Misconfigured(f"profile {profile.name}: modalities.{modality} names no model")
    users = frozenset(
        m for m, each in profile.modalities.items() if each is not None and each.weights == source.weights
    )
    return ModelUse(profile=profile, source=source, users=users, device=device)


def _has_head(heads: Path | None, modality: Modality) -> bool:
    return heads is not None and head_path(heads, modality).is_file()


def _encoder_class(family: Family, use: ModelUse, modality: Modality) -> Any:
    cls = family.encoders.get(modality)
    if cls is None:
        raise Misconfigured(
            f"profile {use.profile.name}: {use.source.model} encodes {', '.join(family.encoders)} and not {modality}; "
            f"name another model for {modality}, or leave it out"
        )
    return cls


def _head(profile: EncoderProfile, modality: Modality, source_dims: int) -> Head | None:
    dims = profile.dims or 0
    head = load_head(profile.heads, modality, source=source_dims, dims=dims) if profile.heads else None
    if head is None and source_dims != dims:
        raise Misconfigured(
            f"profile {profile.name}: {modality} vectors have {source_dims} numbers where dims says {dims}; "
            "correct dims, or train heads with `crosscurrent train alignment` and name them as `model.heads`"
        )
    return head
