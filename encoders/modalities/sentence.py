"""Texts by sentence-embedding models: a bidirectional language model whose token vectors are pooled into one.

Reimers and Gurevych 2019, "Sentence-BERT", https://arxiv.org/abs/1908.10084. How to pool is read from the files that
Sentence-Transformers writes beside the weights; a model without them is averaged over its tokens.
"""

import json
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from config.errors import Misconfigured
from encoders.modalities.optional_files import optional_file
from encoders.modalities.pretrained import ModelUse, load_network
from encoders.modalities.texts import PretrainedTextEncoder, token_limit

Pooling = Literal["mean", "cls", "max"]
POOLINGS: Final[dict[str, Pooling]] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}
FAMILIES: Final = frozenset(
    {"albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet", "roberta"}
    | {"xlm-roberta"}
)
"""Language models that read a text in both directions; those that only look back are pooled at another place."""
_KNOWN_PARTS: Final = frozenset({"Transformer", "Pooling", "Normalize"})


def is_sentence(config: Any) -> bool:
    """Whether the family is a language model whose tokens can be pooled."""
    return config.model_type in FAMILIES


def load_sentence(use: ModelUse) -> Any:
    """Load the language model; the layer that some of them pool with is not used and may be missing."""
    return load_network(AutoModel, use, unused="pooler.")


class SentenceEncoder(PretrainedTextEncoder):
    """Texts by a sentence-embedding model."""

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        tokenizer = use.load(AutoTokenizer.from_pretrained)
        said = _read(use, "sentence_bert_config.json") or {}
        limit = token_limit(tokenizer, network.config, said=said.get("max_seq_length"))
        self._pooling = _pooling(use)
        super().__init__(tokenizer, limit, use, **shared)
        self._network = network

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
        """Length of the vectors before the head."""
        return int(network.config.hidden_size)

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Pool the token vectors of the last layer, in single precision: (passages, hidden_size)."""
        states = self._network(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if self._pooling == "cls":
            first: Tensor = states[:, 0]
            return first
        real = mask.unsqueeze(-1).bool()
        if self._pooling == "max":
            highest: Tensor = states.masked_fill(~real, -torch.inf).amax(dim=1)
            return highest
        total: Tensor = states.masked_fill(~real, 0).sum(dim=1)
        return total / real.sum(dim=1)


def _pooling(use: ModelUse) -> Pooling:
    """Read how the model pools.

    Raises:
        Misconfigured: It does so in a way, or has a layer, that is not known here.
    """
    model = f"profile {use.profile.name}: {use.source.model}"
    parts = [part["type"].rpartition(".")[2] for part in _read(use, "modules.json") or []]
    if unknown := sorted(set(parts) - _KNOWN_PARTS):
        raise Misconfigured(
            f"{model} has the layer {', '.join(unknown)} after its language model, which is not known here; "
            f"name a model of {', '.join(sorted(_KNOWN_PARTS))} alone"
        )
    said = _read(use, "1_Pooling/config.json")
    if said is None:
        return "mean"
    modes = {name for name, chosen in said.items() if name.startswith("pooling_mode_") and chosen is True}
    if isinstance(mode := said.get("pooling_mode"), str):  # as newer releases write it
        modes = {name for name, pooling in POOLINGS.items() if pooling == mode} or {mode}
    if len(modes) != 1 or not modes <= POOLINGS.keys():
        raise Misconfigured(
            f"{model} pools by {', '.join(sorted(modes)) or 'nothing'}; known is one of {', '.join(POOLINGS)}"
        )
    return POOLINGS[modes.pop()]


def _read(use: ModelUse, name: str) -> Any:
    path = optional_file(use, name)
    if path is None:
        return None
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as exc:
        raise Misconfigured(
            f"profile {use.profile.name}: {path} is not valid JSON ({exc}); fetch the model again"
        ) from exc
