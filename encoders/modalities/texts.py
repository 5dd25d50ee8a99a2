"""Texts for language models: cut into passages of tokens that overlap, framed, padded on the right."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.base import TextInput
from encoders.device import HostCopy
from encoders.modalities.passages import cut_tokens, spread
from encoders.modalities.pooling import flatten
from encoders.modalities.pretrained import ModelUse, PretrainedEncoder
from encoders.modalities.readable import require_readable

READ_CHARACTERS: Final = 65_536
"""Beginning of a text that is read: fifty times what ``MAX_PASSAGES`` keeps of it, and quick to cut into tokens."""

_COUNTED_FROM_PADDING: Final = frozenset(
    {"altclip_text_model", "camembert", "clap_text_model", "mpnet", "roberta", "xlm-roberta"}
)
"""Models whose first position is numbered after the padding token, so that their table holds fewer tokens than rows."""


class PretrainedTextEncoder(PretrainedEncoder, ABC):
    """Texts by a published language model; a text above its limit is cut into passages that overlap by a quarter.

    Args:
        tokenizer: Of ``transformers``.
        limit: Tokens of one passage at most, special ones included.
        use: What the profile asks for; its prefix stands before every passage.
    """

    modality = Modality.TEXT
    lower_case: bool = False
    """Whether the model has never seen a capital letter."""

    def __init__(self, tokenizer: Any, limit: int, use: ModelUse, **shared: Any) -> None:
        super().__init__(**shared)
        self._tokenizer = tokenizer
        self._limit = limit
        self._prefix = use.source.prefix
        self._before, self._after = self.frame()
        self._lead = self._ids(self._prefix.rstrip())
        self._room = limit - len(self._before) - len(self._after)
        if len(self._lead) * 2 > self._room:
            raise Misconfigured(
                f"profile {use.profile.name}: the prefix {self._prefix!r} takes {len(self._lead)} of the {self._room} "
                "tokens that a passage has; shorten it"
            )

    @abstractmethod
    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Run the network on token ids and their mask (passages, tokens): vectors (passages, source)."""

    def frame(self) -> tuple[list[int], list[int]]:
        """Return the special tokens that the model expects before and after a passage."""
        [framed, bare] = [self._tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False)]
        start = next(place for place in range(len(framed)) if framed[place : place + len(bare)] == bare)
        return framed[:start], framed[start + len(bare) :]

    def prepare(self, item: TextInput) -> list[list[int]]:
        """Return the token ids of the text's passages.

        Raises:
            RejectEvent: If there is nothing to read.
        """
        ids = self._ids(self._prefix + require_readable(item.text)[:READ_CHARACTERS])
        passages = spread(cut_tokens(ids, lead=self._lead, length=self._room))
        return [[*self._before, *passage, *self._after] for passage in passages]

    def size(self, prepared: list[list[int]]) -> int:
        """Return the tokens of all passages, padded."""
        return len(prepared) * max(map(len, prepared))

    @property
    def max_padded(self) -> int:
        """Tokens of one padded batch at most: 1,024 passages of 77 tokens, as many of fewer when they are longer."""
        return 1024 * min(self._limit, 77)

    def forward(self, prepared: Sequence[list[list[int]]]) -> HostCopy:
        """Encode passages padded to the longest of them and average them text by text."""
        passages, counts = flatten(prepared)
        with torch.inference_mode():
            return self.align(self.features(*self.collate(passages)), counts)

    def collate(self, passages: Sequence[list[int]], *, width: int = 0) -> tuple[Tensor, Tensor]:
        """Return ids and mask (passages, tokens) on the device, padded to the longest and to ``width`` at least."""
        width = max(width, *map(len, passages))
        ids = np.full((len(passages), width), self._tokenizer.pad_token_id or 0, np.int64)
        mask = np.zeros_like(ids)
        for row, passage in enumerate(passages):
            ids[row, : len(passage)] = passage
            mask[row, : len(passage)] = 1
        return torch.from_numpy(ids).to(self._device), torch.from_numpy(mask).to(self._device)

    def _ids(self, text: str) -> list[int]:
        text = text.lower() if self.lower_case else text
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids


def token_limit(tokenizer: Any, config: Any, *, said: int | None = None) -> int:
    """Return how many tokens a passage may have: the least that position table, tokenizer and ``said`` allow."""
    rows = int(config.max_position_embeddings)
    if config.model_type in _COUNTED_FROM_PADDING:
        rows -= int(config.pad_token_id) + 1
    return min(rows, int(tokenizer.model_max_length), said or rows)
