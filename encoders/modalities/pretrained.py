"""Loading published models through ``transformers``: safetensors only, revision pinned, no code from the hub."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from config.errors import Misconfigured
from config.profiles import EncoderProfile, ModelSource
from config.vocabulary import Modality, ModelRef
from encoders.alignment.heads import Head
from encoders.device import HostCopy, resolve_dtype
from encoders.modalities.pooling import average
from encoders.vectors import unit_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """One published model in a profile.

    Args:
        profile: Who asks for it.
        source: Where it comes from, as one modality says it.
        users: All modalities of the profile that share its weights.
        device: Where it runs.
    """

    profile: EncoderProfile
    source: ModelSource
    users: frozenset[Modality]
    device: torch.device

    def load(self, load: Callable[..., Any], **options: Any) -> Any:
        """Call a ``from_pretrained`` with the profile's safety rules, as ``load_part`` does."""
        return load_part(load, self.source, self.profile, **options)


class PretrainedEncoder:
    """What encoders of published models share: identity, the head, and the way back to the host.

    Args:
        model: Identity of the profile's space.
        dims: Length of its vectors.
        head: Map from the published model's space into the profile's; None where they are the same.
        device: Where the forward pass runs.
    """

    modality: Modality

    def __init__(self, *, model: ModelRef, dims: int, head: Head | None, device: torch.device) -> None:
        self._model = model
        self._dims = dims
        self._head = head.to(device) if head is not None else None
        self._device = device

    @property
    def model(self) -> ModelRef:
        """Identity of the aligned space."""
        return self._model

    @property
    def dims(self) -> int:
        """Length of the vectors."""
        return self._dims

    def align(self, features: Tensor, counts: list[int]) -> HostCopy:
        """Average features (passages, source) over each input, carry them into the space, and start the copy home."""
        vectors = average(features, counts)
        if self._head is not None:
            vectors = self._head(nn.functional.normalize(vectors, dim=-1))
        return HostCopy(vectors)

    def finish(self, output: HostCopy) -> Any:
        """Wait for the copy and return unit vectors (n, dims)."""
        return unit_rows(output.numpy())


def load_network(cls: Any, use: ModelUse, *, unused: str | None = None) -> Any:
    """Load a network's weights for inference, in the profile's precision.

    Args:
        cls: Class of ``transformers`` that reads them.
        use: What the profile asks for.
        unused: Start of the names of weights that a file may lack, because nothing here reads them.

    Raises:
        Misconfigured: If it is not there, holds no safetensors, or does not fit the class.
    """
    dtype = resolve_dtype(use.profile.dtype, use.device)
    with quiet():
        network, found = use.load(cls.from_pretrained, use_safetensors=True, dtype=dtype, output_loading_info=True)
    # The library fills what a file lacks with random numbers and goes on; vectors from those would look like any.
    lacking = sorted({*found["missing_keys"], *map(str, found["mismatched_keys"])})
    if lacking := [name for name in lacking if unused is None or not name.startswith(unused)]:
        raise Misconfigured(
            f"profile {use.profile.name}: {use.source.model} lacks {len(lacking)} weights of "
            f"{type(network).__name__}, such as {lacking[0]}; name a complete checkpoint of that family"
        )
    log.info("loaded %s as %s on %s in %s", use.source.model, type(network).__name__, use.device, dtype)
    return network.to(use.device).eval().requires_grad_(False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library from reporting weights of towers that are left out on purpose, and from drawing a bar."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def load_part(load: Callable[..., Any], source: ModelSource, profile: EncoderProfile, **options: Any) -> Any:
    """Call a ``from_pretrained`` with the profile's safety rules.

    Raises:
        Misconfigured: Whatever goes wrong: what was asked for, what the library says, and the ways out.
    """
    try:
        return load(
            source.model,
            revision=source.revision or "main",
            trust_remote_code=False,
            local_files_only=profile.local_files_only or source.is_folder,
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as exc:
        where = source.model if source.is_folder else f"{source.model} at {source.revision}"
        first = str(exc).strip().splitlines()[0][:300] if str(exc).strip() else type(exc).__name__
        raise Misconfigured(
            f"profile {profile.name}: {where} cannot be loaded ({first}); {_ways_out(source, exc)}"
        ) from exc


def _ways_out(source: ModelSource, error: Exception) -> str:
    if isinstance(error, ImportError):
        return "pip install 'crosscurrent[pe-av]'" if "timm" in str(error) else "install the package that it names"
    if source.is_folder:
        return "check that the folder was written by save_pretrained and holds model.safetensors"
    return "give the machine access to the hub once, or save the model to a folder and name that in the profile"
