"""Alignment heads: small maps from one model's space into the profile's, stored as safetensors.

A file ``<modality>.safetensors`` holds one head; its metadata say which kind, so that loading needs no code from the
file. ``linear`` is an affine map; ``network`` adds a two-layer correction to one, so that training starts from the
closed-form solution.
"""

from pathlib import Path
from typing import Final, Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from config.errors import Misconfigured
from config.vocabulary import Modality

HeadKind = Literal["linear", "network"]
FORMAT: Final = "crosscurrent-head-1"


class LinearHead(nn.Module):
    """An affine map from unit vectors (n, source) to (n, dims)."""

    kind: HeadKind = "linear"

    def __init__(self, source: int, dims: int) -> None:
        super().__init__()
        self.linear = nn.Linear(source, dims)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map the vectors; the result is not normalised."""
        mapped: Tensor = self.linear(vectors)
        return mapped


class NetworkHead(nn.Module):
    """An affine map and a small network that corrects it: (n, source) to (n, dims)."""

    kind: HeadKind = "network"

    def __init__(self, source: int, dims: int, hidden: int = 1024) -> None:
        super().__init__()
        self.linear = nn.Linear(source, dims)
        self.widen = nn.Linear(source, hidden)
        self.correct = nn.Linear(hidden, dims)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map the vectors; the result is not normalised."""
        mapped: Tensor = self.linear(vectors) + self.correct(functional.gelu(self.widen(vectors)))
        return mapped


Head = LinearHead | NetworkHead


def save_head(head: Head, folder: Path, modality: Modality) -> Path:
    """Write a head where ``load_head`` finds it and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = head_path(folder, modality)
    tensors = {name: value.detach().float().cpu().contiguous() for name, value in head.state_dict().items()}
    save_file(tensors, path, metadata={"format": FORMAT, "kind": head.kind})
    return path


def head_path(folder: Path, modality: Modality) -> Path:
    """Return where a modality's head lies."""
    return folder / f"{modality}.safetensors"


def load_head(folder: Path, modality: Modality, *, source: int, dims: int) -> Head | None:
    """Read a modality's head, in evaluation mode; None if the folder holds none.

    Args:
        folder: Where heads lie.
        modality: Whose head.
        source: Length of the vectors it must take.
        dims: Length of the vectors it must give.

    Raises:
        Misconfigured: If the file is damaged, no head, or of other lengths.
    """
    path = head_path(folder, modality)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError) as exc:
        raise Misconfigured(f"{path} cannot be read as safetensors ({exc}); train the head again") from exc
    head = _empty_head(path, metadata, tensors, source, dims)
    try:
        head.load_state_dict(tensors)
    except RuntimeError as exc:
        lengths = f"{source} numbers in and {dims} out"
        raise Misconfigured(f"{path} does not fit this profile, which needs {lengths}: {exc}") from exc
    return head.eval().requires_grad_(False)


def _empty_head(path: Path, metadata: dict[str, str], tensors: dict[str, Tensor], source: int, dims: int) -> Head:
    kind = metadata.get("kind") if metadata.get("format") == FORMAT else None
    if kind == "linear":
        return LinearHead(source, dims)
    if kind == "network" and "widen.weight" in tensors:
        return NetworkHead(source, dims, hidden=tensors["widen.weight"].shape[0])
    raise Misconfigured(f"{path} is not an alignment head; write one with `crosscurrent train alignment`")
