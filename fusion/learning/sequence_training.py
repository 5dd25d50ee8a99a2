"""Training of the sequence model: next-item cross-entropy, early stopping, and a run that survives a kill.

The loss is the full softmax over the items, or over a sample where there are many: with it the architecture of SASRec
does as well as those that came after it (Klenitskiy, Vasilev 2023, arXiv 2309.07602).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from config.errors import Misconfigured
from config.vocabulary import ModelRef
from fusion.learning.sequence import RECORD, WEIGHTS, SequenceShape, record_of
from fusion.learning.sequence_data import Acts, Windows, split_windows
from fusion.learning.sequence_network import TrainedNetwork

CHECKPOINT: Final = "checkpoint.pt"
CARD: Final = "MODEL_CARD.md"

MOST_CANDIDATES: Final = 4096
"""Items that a target is told from: all where there are no more, else so many drawn anew for each batch."""

DEPTH: Final = 10

Tell = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceOptions:
    """How a run goes about it.

    Args:
        width: Of the network.
        layers: Of attention.
        heads: Of attention.
        length: Items read.
        epochs: Most passes over the data.
        patience: Passes without improvement on the validation part until it stops.
        batch: Windows a step.
        validation: Share of the likes, the latest, that is kept for validation.
        seed: The same seed makes the same model on the same machine.
    """

    width: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50
    epochs: int = 60
    patience: int = 6
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.2
    validation: float = 0.1
    seed: int = 0


@dataclass(slots=True)
class _Progress:
    epoch: int = 0
    best: float = -1.0
    best_epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


def train_sequence(
    acts: Acts,
    options: SequenceOptions,
    folder: Path,
    *,
    model: ModelRef | None = None,
    tell: Tell = lambda *_: None,
) -> dict[str, Any]:
    """Train, and write weights, record and card; go on from a checkpoint that lies in ``folder``.

    Args:
        acts: What is learnt from.
        options: Sizes and course.
        folder: Gets the result and, until it is done, a checkpoint after each pass.
        model: The space of the items' vectors; None when they came from a file.
        tell: Called after each pass with passes done, passes at most and the best nDCG@10 so far.

    Returns:
        The record as written.

    Raises:
        Misconfigured: Too few sequences, or the folder holds another unfinished run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(acts, options, folder)
    run.resume()
    progress = run.go_on(tell)
    record = record_of(run.shape, model, run.facts(progress))
    _write(folder, progress, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return record


class _Run:
    def __init__(self, acts: Acts, options: SequenceOptions, folder: Path) -> None:
        self._acts, self._options, self._folder = acts, options, folder
        self.shape = SequenceShape(
            dims=acts.vectors.shape[1],
            width=options.width,
            layers=options.layers,
            heads=options.heads,
            length=options.length,
        )
        if options.width % options.heads:
            raise Misconfigured(f"width {options.width} is no multiple of heads {options.heads}")
        self._training, self._validation = split_windows(acts, options.length, options.validation)
        torch.manual_seed(options.seed)
        self._network = TrainedNetwork(self.shape, options.dropout)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self._items = torch.from_numpy(acts.vectors)
        # What nobody had liked by then is no negative: a cold item must not be learnt to be unlikely.
        self._known = np.unique(self._training.items[self._training.targets >= 0])
        self._known = np.union1d(self._known, self._training.targets[self._training.targets >= 0])
        self._progress = _Progress()

    def _mark(self) -> str:
        digest = hashlib.sha256(json.dumps(asdict(self._options), sort_keys=True).encode())
        for array in (self._acts.users, self._acts.items, self._acts.liked, self._acts.times_ms, self._acts.vectors):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["mark"] != self._mark():
            raise Misconfigured(
                f"{self._folder} holds an unfinished run with other options or data: say them as before to go on, "
                "or name another --out"
            )
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._progress = _Progress(**state["progress"])

    def _save(self) -> None:
        state = {
            "mark": self._mark(),
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "progress": asdict(self._progress),
        }
        fresh = self._folder / f"{CHECKPOINT}.fresh"
        torch.save(state, fresh)
        fresh.replace(self._folder / CHECKPOINT)

    def go_on(self, tell: Tell) -> _Progress:
        progress, options = self._progress, self._options
        while progress.epoch < options.epochs and progress.epoch - progress.best_epoch < options.patience:
            progress.epoch += 1
            self._pass(progress.epoch)
            if (gain := self._validated()) > progress.best:
                progress.best, progress.best_epoch = gain, progress.epoch
                progress.weights = {name: value.clone() for name, value in self._network.state_dict().items()}
            self._save()
            tell(progress.epoch, options.epochs, progress.best)
        return progress

    def _pass(self, epoch: int) -> None:
        """One pass; what chance decides in it follows from the seed and its number, so a resumed run is the same."""
        chance = np.random.default_rng((self._options.seed, epoch))
        torch.manual_seed(self._options.seed * 100_003 + epoch)
        self._network.train()
        for start in range(0, len(self._training), self._options.batch):
            if start == 0:
                order = chance.permutation(len(self._training))
            rows = order[start : start + self._options.batch]
            loss = self._loss(self._training.take(rows), chance)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            self._optimiser.step()

    def _loss(self, windows: Windows, chance: np.random.Generator) -> Tensor:
        asked = windows.targets >= 0
        directions = self._directions(windows)[torch.from_numpy(asked)]
        wanted = windows.targets[asked]
        candidates = self._known
        if len(candidates) > MOST_CANDIDATES:
            candidates = np.union1d(chance.choice(candidates, MOST_CANDIDATES, replace=False), wanted)
        logits = directions @ self._items[torch.from_numpy(candidates)].T
        return functional.cross_entropy(logits, torch.from_numpy(np.searchsorted(candidates, wanted)))

    def _directions(self, windows: Windows) -> Tensor:
        directions: Tensor = self._network(
            self._items[torch.from_numpy(windows.items)], torch.from_numpy(windows.liked)
        )
        return directions

    @torch.inference_mode()
    def _validated(self) -> float:
        """Mean nDCG@10 of the validation part's likes among all items but those of the window."""
        self._network.eval()
        gains: list[Tensor] = []
        for start in range(0, len(self._validation), 64):
            windows = self._validation.take(slice(start, start + 64))
            items, targets = windows.items, windows.targets
            directions = self._directions(windows)
            rows, places = np.nonzero(targets >= 0)
            logits = directions[rows, places] @ self._items.T
            read = torch.from_numpy(
                np.where(np.arange(items.shape[1]) <= places[:, None], items[rows], items[rows, :1])
            )
            logits.scatter_(1, read, -torch.inf)
            wanted = logits.gather(1, torch.from_numpy(targets[rows, places])[:, None])
            ranks = (logits > wanted).sum(dim=1) + 1
            gains.append(torch.where(ranks <= DEPTH, 1.0 / torch.log2(ranks + 1.0), torch.zeros(())))
        return float(torch.cat(gains).mean())

    def facts(self, progress: _Progress) -> dict[str, Any]:
        """What the record says of the run."""
        acts = self._acts
        return {
            "options": asdict(self._options),
            "actions": len(acts.users),
            "likes": int(acts.liked.sum()),
            "users": len(np.unique(acts.users)),
            "items": len(acts.vectors),
            "windows": {"training": len(self._training), "validation": len(self._validation)},
            "passes": progress.epoch,
            "best_pass": progress.best_epoch,
            "validation_ndcg_at_10": round(progress.best, 4),
        }


def _write(folder: Path, progress: _Progress, record: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in progress.weights.items()}, folder / WEIGHTS)
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(_card(record), encoding="utf-8")


def _card(record: dict[str, Any]) -> str:
    return f"""# Sequence model

Foretells the next item that a user likes from the last {record["shape"]["length"]} acted on, each known by its content
vector alone (self-attention as in SASRec, arXiv 1808.09781). The answer is a direction in the space of
{record["model"] or "the file that the vectors came from"}.

- Learnt from {record["actions"]} actions ({record["likes"]} likes) of {record["users"]} users on {record["items"]}
  items, in the order of time; the latest {record["options"]["validation"]:.0%} chose the pass
  ({record["best_pass"]} of {record["passes"]}).
- nDCG@10 there, among all items not read: {record["validation_ndcg_at_10"]}.
- Weights hold no user and no item. What users did is in them only as far as training leaves traces in any network:
  train again without whoever asks to be forgotten.
- Limits: it knows order, not time; items without a vector are passed over; another model's vectors need another one.
"""


__all__ = ["CHECKPOINT", "SequenceOptions", "Windows", "train_sequence"]
