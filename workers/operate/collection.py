"""What is measured: items, what each shows, and who asks; from a file, the shipped corpus, or things never seen."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.settings import Settings
from config.vocabulary import ItemId, Modality
from encoders.alignment.features import PairedFeatures
from encoders.alignment.sightings import Sighted, Sightings
from workers.contracts.content import CONTENT_EVENTS, ContentUpsert, Modalities
from workers.contracts.media import TextContent
from workers.contracts.parse import parse_event
from workers.operate.pairs import read_items

_MARK: Final = "|"
_ENGLISH: Final = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Items to measure on.

    Attributes:
        title: What they are, for headings.
        items: The items.
        same: Attribute whose equal values mean that two items show the same thing; an item shows itself where it has
            none, or where this is empty.
        name: Attribute with the English text that asks, in other languages under ``<name>_<language>``; empty where the
            item's own text asks.
        group: Attribute by whose values scores are parted; empty for none.
        folder: Where ``file://`` may lead.
        note: What a reader of the scores should know.
        problems: Lines that were no items.
    """

    title: str
    items: Sequence[ContentUpsert]
    same: str = ""
    name: str = ""
    group: str = ""
    folder: Path | None = None
    note: str = ""
    problems: tuple[str, ...] = ()

    def questions(self) -> list[ContentUpsert]:
        """Texts that ask for the items, each as an item whose id is that of what it asks for, after its language."""
        starts = f"{self.name}_"
        return [
            _question(f"{key.removeprefix(starts) if key != self.name else _ENGLISH}{_MARK}{item.item_id}", str(value))
            for item in self.items
            for key, value in item.attributes.items()
            if self.name and (key == self.name or key.startswith(starts))
        ]


def from_file(file: Path, settings: Settings, *, same: str = "", group: str = "") -> Collection:
    """Return a file's items.

    Raises:
        Misconfigured: The file cannot be read or holds no item, or no item has an attribute that is named.
    """
    problems: list[str] = []
    items = read_items(file, settings, problems)
    if not items:
        raise Misconfigured(f"{file}: no item could be read", *problems[:5])
    for option, attribute in (("same", same), ("group", group)):
        if attribute and not any(attribute in item.attributes for item in items):
            raise Misconfigured(f"--{option}: no item has the attribute {attribute!r}")
    return Collection(
        title=file.name, items=items, same=same, group=group, folder=file.parent, problems=tuple(problems)
    )


def from_corpus() -> Collection:
    """Return the shipped corpus.

    Raises:
        Misconfigured: There is none.
    """
    from encoders.builtin.evaluation_items import GROUP, NAME, SHOWS, corpus_items

    note = (
        "the built-in model met much of this in training: the voices, the artist of 1,653 pictures, some of the towns; "
        "--held-out measures on what never was"
    )
    items = _parsed(corpus_items())
    return Collection(title="the shipped corpus", items=items, same=SHOWS, name=NAME, group=GROUP, note=note)


def from_unseen(cache: Path) -> Collection:
    """Return things that the built-in model never met; what is said, drawn and filmed for it stays in ``cache``.

    Raises:
        Misconfigured: The ``train`` extra or espeak-ng is missing.
    """
    from encoders.builtin.evaluation_items import GROUP, NAME, SHOWS, VERSION, unseen_artist, unseen_items

    note = (
        f"pictures and silent clips by {unseen_artist()}, a voice, towns and weather stations that had no part in "
        "training; the words did"
    )
    store = cache / f"unseen-{unseen_artist()}-{VERSION}.jsonl"
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        partial = store.with_suffix(".partial")
        partial.write_text("".join(f"{json.dumps(event)}\n" for event in unseen_items(cache)), encoding="utf-8")
        partial.replace(store)
    items = _parsed(json.loads(line) for line in store.read_text(encoding="utf-8").splitlines())
    return Collection(title="things never seen", items=items, same=SHOWS, name=NAME, group=GROUP, note=note)


def label(collection: Collection, item_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return what each item shows, as numbers of shape (n,)."""
    values = {str(item.item_id): str(item.attributes.get(collection.same, item.item_id)) for item in collection.items}
    shown = [values[item_id] for item_id in item_ids]
    numbers = {value: number for number, value in enumerate(dict.fromkeys(shown))}
    return np.array([numbers[value] for value in shown], np.int64)


def sighted(collection: Collection, features: PairedFeatures, questions: PairedFeatures | None) -> Sighted:
    """Put a collection and its aligned vectors together.

    Args:
        collection: What was encoded.
        features: Vectors of its items.
        questions: Vectors of its questions; None where it has none.
    """
    labels = label(collection, features.item_ids)
    present = {modality: np.flatnonzero(features.present(modality)) for modality in features.modalities}
    items = {m: Sightings(labels=labels[rows], vectors=features.vectors[m][rows]) for m, rows in present.items()}
    shown = dict(zip(features.item_ids, labels.tolist(), strict=True))
    if questions is None:
        queries, languages = items, _own_languages(collection, features, labels)
    else:
        languages = _asking(questions, shown)
        queries = {**items, Modality.TEXT: languages[_ENGLISH]}
    return Sighted(queries=queries, items=items, languages=languages, groups=_groups(collection, shown))


def _question(item_id: str, text: str) -> ContentUpsert:
    return ContentUpsert(item_id=ItemId(item_id), modalities=Modalities(text=TextContent(text=text)))


def _asking(questions: PairedFeatures, shown: Mapping[str, int]) -> dict[str, Sightings]:
    """Questions by language."""
    parted = [each.split(_MARK, 1) for each in questions.item_ids]
    found = {}
    for language in dict.fromkeys(language for language, _ in parted):
        rows = [n for n, (spoken, item_id) in enumerate(parted) if spoken == language and item_id in shown]
        labels = np.array([shown[parted[row][1]] for row in rows], np.int64)
        found[language] = Sightings(labels=labels, vectors=questions.vectors[Modality.TEXT][rows])
    return found


def _own_languages(collection: Collection, features: PairedFeatures, labels: NDArray[np.int64]) -> dict[str, Sightings]:
    """The texts of items that say which language theirs is in."""
    if Modality.TEXT not in features.vectors:
        return {}
    spoken = {str(item.item_id): _language(item) for item in collection.items}
    present = features.present(Modality.TEXT)
    found = {}
    for language in sorted({one for one in spoken.values() if one}):
        rows = np.array([spoken[item_id] == language for item_id in features.item_ids]) & present
        if rows.any():
            found[language] = Sightings(labels=labels[rows], vectors=features.vectors[Modality.TEXT][rows])
    return found


def _language(item: ContentUpsert) -> str:
    text = item.modalities.text
    return text.language or "" if isinstance(text, TextContent) else ""


def _groups(collection: Collection, labels: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    found: dict[str, set[int]] = {}
    for item in collection.items:
        if item.item_id in labels and collection.group and collection.group in item.attributes:
            found.setdefault(str(item.attributes[collection.group]), set()).add(labels[item.item_id])
    return {group: np.array(sorted(shown), np.int64) for group, shown in found.items()}


def _parsed(events: Iterable[dict[str, Any]]) -> list[ContentUpsert]:
    parsed = [parse_event(json.dumps(event).encode(), CONTENT_EVENTS) for event in events]
    return [event for event in parsed if isinstance(event, ContentUpsert)]
