"""The card beside trained fusion weights: what they are, what they learned from, and what was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fusion.attention_weights import WEIGHTS_FILE, FusionWeights

CARD: Final = "FUSION_CARD.md"

_TEXT: Final = """# {name}

Weights of the fusion strategy `attention`: {parameters:,} numbers in `{file}`, safetensors, float32.

## Use

{use}

They turn the calibrated similarities of a query's parts to an item's modalities into one score. A negative part always
lowers what it names, and a lacking modality is left out of a sum (`fusion/attention.py` says how).

## Learned from

{source}

Similarities are those of {model}. For any other model the weights are asked without the names of modalities: what they
learned about texts, pictures and sounds of {model} says nothing there, and the rest holds wherever there is a
calibration.

{facts}

## Measured

nDCG@10 on the queries held back to choose the step, mean over groups: {validation:.4f}, and without names
{unnamed:.4f}. The step was chosen by these numbers, so they are somewhat too good: `crosscurrent evaluate fusion` and
`crosscurrent evaluate ranking` measure on others.
"""


def write_card(weights: FusionWeights, folder: Path, *, source: str, use: str) -> None:
    """Write the card.

    Args:
        weights: With the facts that training noted.
        folder: Where the weights file is.
        source: What was learned from, in a sentence.
        use: How to load them, in a sentence.
    """
    facts = dict(weights.facts)
    text = _TEXT.format(
        name=weights.name,
        parameters=sum(int(array.size) for array in weights.arrays.values()),
        file=WEIGHTS_FILE,
        use=use,
        source=source,
        model=weights.model,
        facts=_listed(facts),
        validation=facts["validation_ndcg_at_10"],
        unnamed=facts["validation_ndcg_at_10_without_names"],
    )
    (folder / CARD).write_text(text, encoding="utf-8")


def _listed(facts: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in facts.items() if not key.startswith("validation_ndcg")}
    return "\n".join(f"- {key}: {value}" for key, value in sorted(plain.items()))
