"""What a folder of trained heads says of itself: ``alignment.json`` and ``MODEL_CARD.md`` beside the safetensors."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from config.errors import Misconfigured
from config.vocabulary import Background, Modality, ModelRef
from encoders.alignment.weights_json import plain_calibration, plain_weights, read_calibration, read_weights
from encoders.base import DimensionWeights

RECORD: Final = "alignment.json"
CARD: Final = "MODEL_CARD.md"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """A folder of heads.

    Attributes:
        name: What people call it.
        base: Space of the encoders it was trained on.
        dims: Length of the aligned vectors.
        sources: Length of the vectors that each modality's head takes.
        files: SHA-256 of each modality's file.
        calibration: Background by (query modality, item modality).
        dimension_weights: What each dimension counts in a weighted cosine; None in folders from before there were any,
            or where no items had two modalities.
        facts: Options, data and metrics, as the card tells them.
    """

    name: str
    base: ModelRef
    dims: int
    sources: Mapping[Modality, int]
    files: Mapping[Modality, str]
    calibration: Mapping[tuple[Modality, Modality], Background] = field(default_factory=dict)
    dimension_weights: DimensionWeights | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> ModelRef:
        """Identity of the aligned space: other heads on the same encoders never share a key with it."""
        digest = hashlib.sha256("".join(self.files[m] for m in sorted(self.files)).encode()).hexdigest()[:8]
        return ModelRef(f"{self.base.name}.{self.name}", f"{self.base.version}-{digest}")


def save_record(alignment: Alignment, folder: Path) -> None:
    """Write the record and the card."""
    raw = {
        "format": FORMAT,
        "name": alignment.name,
        "base": str(alignment.base),
        "dims": alignment.dims,
        "sources": dict(alignment.sources),
        "files": dict(alignment.files),
        "calibration": plain_calibration(alignment.calibration),
        "dimension_weights": plain_weights(alignment.dimension_weights),
        "facts": dict(alignment.facts),
    }
    (folder / CARD).write_text(_card(alignment), encoding="utf-8")
    partial = folder / f"{RECORD}.partial"
    partial.write_text(json.dumps(raw, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(folder / RECORD)


def load_record(folder: Path) -> Alignment:
    """Read a folder's record.

    Raises:
        Misconfigured: There is none, or it is damaged.
    """
    path = folder / RECORD
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        weights = raw.get("dimension_weights")
        return Alignment(
            name=raw["name"],
            base=ModelRef.parse(raw["base"]),
            dims=int(raw["dims"]),
            sources={Modality(key): int(value) for key, value in raw["sources"].items()},
            files={Modality(key): str(value) for key, value in raw["files"].items()},
            calibration=read_calibration(raw["calibration"]),
            dimension_weights=None if weights is None else read_weights(weights, int(raw["dims"])),
            facts=raw["facts"],
        )
    except FileNotFoundError as exc:
        raise Misconfigured(f"no trained heads at {path}: run `crosscurrent train alignment --out {folder}`") from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Misconfigured(f"{path} is damaged ({exc!r}): train the heads again") from exc


def locate(name_or_folder: str, heads_dir: Path) -> Path:
    """Return the folder that a setting names: itself, or one of that name under ``heads_dir``.

    Raises:
        Misconfigured: Neither is there.
    """
    for folder in (Path(name_or_folder), heads_dir / name_or_folder):
        if (folder / RECORD).is_file():
            return folder
    raise Misconfigured(
        f"model.heads: {name_or_folder!r} is neither a folder of trained heads nor one under {heads_dir}; "
        "train some with `crosscurrent train alignment`, or set model.heads_dir"
    )


_CARD_TEXT: Final = """# {model}

Alignment heads that carry the vectors of {base} into one space of {dims} dimensions: {modalities}.

## Use

Name this folder as `model.heads` in the settings. Its vectors are stored under their own model, so nothing mixes.

## Training

{items:,} items, of which {validation_items:,} were kept for validation; data fingerprint {data}. Stopped after
{steps:,} steps; the best heads are of step {best_step:,}.

{options}

## Measured on the validation items

| query > item | recall@1 | recall@5 | recall@10 | median rank |
| --- | --- | --- | --- | --- |
{rows}

{similarity}The heads were chosen by these numbers, so they are somewhat too good: `crosscurrent evaluate` measures on
other data.
"""


def _card(alignment: Alignment) -> str:
    facts = alignment.facts
    return _CARD_TEXT.format(
        model=alignment.model,
        base=alignment.base,
        dims=alignment.dims,
        modalities=", ".join(alignment.files),
        options="\n".join(f"- {key}: {value}" for key, value in sorted(facts["options"].items())),
        similarity=_similarity(facts.get("similarity", {})),
        rows="\n".join(_row(pair, scores) for pair, scores in facts["validation"].items()),
        **{key: facts[key] for key in ("items", "validation_items", "data", "steps", "best_step")},
    )


def _row(pair: str, scores: Mapping[str, float]) -> str:
    recalls = " | ".join(f"{scores[f'recall_at_{k}']:.3f}" for k in (1, 5, 10))
    return f"| {pair} | {recalls} | {scores['median_rank']:.0f} |"


def _similarity(recalls: Mapping[str, float]) -> str:
    told = ", ".join(f"{recall:.3f} by {name.replace('_', ' ')}" for name, recall in recalls.items())
    return f"Mean recall@10 over these pairs: {told}.\n\n" if told else ""
