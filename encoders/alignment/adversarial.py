"""Alignment against a discriminator: a generator carries each modality into the anchor's space.

The discriminator tells carried vectors from the anchor's own and the generators learn to be taken for real (least
squares form: Mao et al., "Least Squares Generative Adversarial Networks", 2017; for retrieval: Wang et al.,
"Adversarial Cross-Modal Retrieval", 2017). A generator back to the source closes a cycle (Zhu et al., "Unpaired
Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017), and pairs, where there are any, are
brought together. Items that lack the anchor, or have it alone, train the discriminator and the cycle: this is the
method for a few pairs and many single items.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.alignment.closed_form import FEWEST_PAIRS, linear_head, solve
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head, NetworkHead
from encoders.alignment.network import AVERAGE_DECAY, average, rate_factor
from encoders.alignment.options import FitOptions

ADVERSARIAL_WEIGHT = 0.1
CYCLE_WEIGHT = 1.0
PAIR_WEIGHT = 10.0
CONTRAST_SCALE = 20.0
LEAK = 0.2


class _Bridge(nn.Module):
    """What one modality trains: there, back, and the judge."""

    def __init__(self, source: int, dims: int, hidden: int) -> None:
        super().__init__()
        self.there = NetworkHead(source, dims, hidden)
        self.back = NetworkHead(dims, source, hidden)
        self.judge = nn.Sequential(nn.Linear(dims, hidden), nn.LeakyReLU(LEAK), nn.Linear(hidden, 1))


class AdversarialFitter:
    """Trains generators and discriminators by turns; see ``methods.Fitter``."""

    def __init__(self, options: FitOptions, train: PairedFeatures) -> None:
        """Prepare a bridge from every modality to the anchor.

        Raises:
            Misconfigured: A modality or the anchor has fewer than eight items, or ``dims`` is not the anchor's length.
        """
        self.options = options
        self.total_steps = options.steps
        self.steps_done = 0
        self._anchor = options.anchor_of(train)
        self._dims = train.dims(self._anchor)
        if options.dims_of(train) != self._dims:
            raise Misconfigured(f"dims: adversarial keeps the space of {self._anchor}: leave dims out")
        self._others = tuple(m for m in train.modalities if m != self._anchor)
        self._vectors = {m: torch.from_numpy(np.nan_to_num(train.vectors[m])) for m in train.modalities}
        self._alone = {m: np.flatnonzero(train.present(m)) for m in train.modalities}
        self._pairs = {m: np.flatnonzero(train.together((m, self._anchor))) for m in self._others}
        if few := [str(m) for m, rows in self._alone.items() if len(rows) < FEWEST_PAIRS]:
            raise Misconfigured(f"fewer than {FEWEST_PAIRS} items have {', '.join(few)}: give more")
        torch.manual_seed(options.seed)
        self._bridges = nn.ModuleDict(
            {m.value: _Bridge(train.dims(m), self._dims, options.hidden) for m in self._others}
        )
        self._start(train)
        self._averaged = deepcopy(self._bridges).requires_grad_(False)
        rate = {"lr": options.learning_rate, "weight_decay": options.weight_decay, "betas": (0.5, 0.99)}
        self._maker = torch.optim.AdamW(self._parameters("there", "back"), **rate)  # type: ignore[arg-type]
        self._judge = torch.optim.AdamW(self._parameters("judge"), **rate)  # type: ignore[arg-type]

    def step(self) -> dict[str, float]:
        """Take a step of the discriminators, then one of the generators, and return both losses."""
        rng = np.random.default_rng([self.options.seed, self.steps_done])
        torch.manual_seed(self.options.seed * 1_000_003 + self.steps_done)
        batches = {m: self._batch(m, rng) for m in self._others}
        for optimiser in (self._maker, self._judge):
            for group in optimiser.param_groups:
                group["lr"] = self.options.learning_rate * rate_factor(self.steps_done, self.options)
        judged = self._descend(self._judge, [self._judge_loss(m, batches[m]) for m in self._others])
        made = self._descend(self._maker, [self._maker_loss(m, batches[m]) for m in self._others])
        self.steps_done += 1
        average(self._averaged, self._bridges, min(AVERAGE_DECAY, self.steps_done / (10 + self.steps_done)))
        return {"loss": made, "discriminator_loss": judged}

    def heads(self) -> dict[Modality, Head]:
        """Return copies of the averaged generators; the anchor's head changes nothing."""
        made: dict[Modality, Head] = {self._anchor: linear_head(np.eye(self._dims), np.zeros(self._dims))}
        for modality in self._others:
            bridge = self._averaged[modality.value]
            assert isinstance(bridge, _Bridge)  # noqa: S101 - for the type checker
            made[modality] = deepcopy(bridge.there).eval()
        return made

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` needs to go on exactly."""
        return {
            "steps_done": self.steps_done,
            "bridges": self._bridges.state_dict(),
            "averaged": self._averaged.state_dict(),
            "maker": self._maker.state_dict(),
            "judge": self._judge.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steps_done = int(state["steps_done"])
        self._bridges.load_state_dict(state["bridges"])
        self._averaged.load_state_dict(state["averaged"])
        self._maker.load_state_dict(state["maker"])
        self._judge.load_state_dict(state["judge"])

    @torch.no_grad()
    def _start(self, train: PairedFeatures) -> None:
        for modality in self._others:
            bridge = self._bridge(modality)
            for head in (bridge.there, bridge.back):
                head.correct.weight.zero_()
                head.correct.bias.zero_()
            if len(self._pairs[modality]) >= FEWEST_PAIRS:
                both = PairedFeatures(
                    item_ids=train.item_ids, vectors={m: train.vectors[m] for m in (modality, self._anchor)}
                )
                for head, towards in ((bridge.there, self._anchor), (bridge.back, modality)):
                    closed = solve(both, towards, train.dims(towards), "procrustes")
                    source = modality if towards == self._anchor else self._anchor
                    head.linear.load_state_dict(closed[source].linear.state_dict())

    def _bridge(self, modality: Modality) -> _Bridge:
        bridge = self._bridges[modality.value]
        assert isinstance(bridge, _Bridge)  # noqa: S101 - for the type checker
        return bridge

    def _parameters(self, *parts: str) -> list[nn.Parameter]:
        return [p for m in self._others for part in parts for p in getattr(self._bridge(m), part).parameters()]

    def _batch(self, modality: Modality, rng: np.random.Generator) -> dict[str, Tensor]:
        def draw(modality: Modality, rows: NDArray[np.int64]) -> Tensor:
            return self._vectors[modality][torch.from_numpy(rows)]

        size = self.options.batch_size
        pairs = _some(self._pairs[modality], size, rng)
        return {
            "source": draw(modality, _some(self._alone[modality], size, rng)),
            "anchor": draw(self._anchor, _some(self._alone[self._anchor], size, rng)),
            "pair_source": draw(modality, pairs),
            "pair_anchor": draw(self._anchor, pairs),
        }

    def _judge_loss(self, modality: Modality, batch: dict[str, Tensor]) -> Tensor:
        bridge = self._bridge(modality)
        with torch.no_grad():
            carried = functional.normalize(bridge.there(batch["source"]), dim=1)
        real: Tensor = bridge.judge(batch["anchor"])
        false: Tensor = bridge.judge(carried)
        return (real - 1).square().mean() + false.square().mean()

    def _maker_loss(self, modality: Modality, batch: dict[str, Tensor]) -> Tensor:
        bridge = self._bridge(modality)
        carried = functional.normalize(bridge.there(batch["source"]), dim=1)
        judged: Tensor = bridge.judge(carried)
        fooled = (judged - 1).square().mean()
        returned = functional.normalize(bridge.back(carried), dim=1)
        visited = functional.normalize(bridge.back(batch["anchor"]), dim=1)
        home = functional.normalize(bridge.there(visited), dim=1)
        cycle = 2.0 - _cosine(returned, batch["source"]) - _cosine(home, batch["anchor"])
        loss = ADVERSARIAL_WEIGHT * fooled + CYCLE_WEIGHT * cycle
        if len(batch["pair_source"]) < 2:
            return loss
        paired = functional.normalize(bridge.there(batch["pair_source"]), dim=1)
        scores = CONTRAST_SCALE * paired @ batch["pair_anchor"].T
        told_apart = functional.cross_entropy(scores, torch.arange(len(scores)))
        return loss + PAIR_WEIGHT * (1.0 - _cosine(paired, batch["pair_anchor"])) + told_apart

    @staticmethod
    def _descend(optimiser: torch.optim.Optimizer, losses: list[Tensor]) -> float:
        loss = torch.stack(losses).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(loss.detach())


def _cosine(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=1).mean()


def _some(rows: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(rows, min(size, len(rows)), replace=False) if len(rows) else rows
