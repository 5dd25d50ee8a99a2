"""Checkpoints: written beside and moved into place, so that an interruption leaves the last whole one."""

from pathlib import Path

import torch
from torch import nn


def save_checkpoint(
    path: Path, model: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer, *, step: int
) -> None:
    """Write the state after ``step`` steps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {
        "model": model.state_dict(),
        "averaged": averaged.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
    }
    torch.save(state, partial)
    partial.replace(path)


def resume(path: Path, model: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Fill everything from ``path`` and return how many steps were done; 0 if there is no checkpoint."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["averaged"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
