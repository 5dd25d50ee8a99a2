"""What the demo publishes and asks: items, a few people's interactions, and questions of every kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from encoders.builtin.corpus import Corpus
from workers.operate.demo_media import another_look, clip_of, inline, thunderstorm

_K: Final = 5
_DEADLINE_MS: Final = 30_000  # the first question also warms the models up, on a machine that may be busy
_SPOKEN: Final = "cat"
_PICTURE: Final = "cat face"

PEOPLE: Final = {
    "mika": ("cat", "cat face", "grinning cat", "black cat", "smiling cat with heart-eyes", "paw prints", "lion"),
    "tomo": ("rocket", "satellite", "ringed planet", "telescope", "full moon", "astronaut", "flying saucer"),
    "lin": ("pizza", "hamburger", "French fries", "taco", "spaghetti", "ramen", "sushi"),
}
"""Who likes what, by the items' names."""

_ACTIONS: Final = ("view", "click", "like", "share", "rate", "click", "like")
_HIGHEST_RATING: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of the demo.

    Args:
        name: Short name, as in the JSON report.
        title: What is asked, in words.
        query: The query event without its id.
    """

    name: str
    title: str
    query: dict[str, Any]

    @property
    def modalities(self) -> list[str]:
        """Modalities that must be encoded for it: a clip is its pictures here."""
        asked = [part["modality"] for part in self.query.get("parts", [])]
        return ["image" if modality == "video" else modality for modality in asked]


def chosen_items(corpus: Corpus, limit: int | None) -> list[str]:
    """Identities of the items to publish: all of them, or those that people and questions name and a spread of others.

    Args:
        corpus: Where the items are.
        limit: How many at most; None for all.
    """
    everything = list(corpus.items)
    if limit is None or limit >= len(everything):
        return everything
    named = [item for item in _named_items(corpus) if item in corpus.items][:limit]
    others = [item for item in everything if item not in set(named)]
    wanted = limit - len(named)
    return named + [others[place * len(others) // wanted] for place in range(wanted)]


def _named_items(corpus: Corpus) -> list[str]:
    names = ["cat", "cat face", "dog", "dog face", "rocket", "pizza", "avocado", "kiwi fruit", "rabbit face"]
    names += ["flag: Japan", "Tokyo tower", "cloud with lightning and rain", "umbrella with rain drops"]
    names += [name for liked in PEOPLE.values() for name in liked]
    known = {item.name.casefold(): item.item_id for item in corpus.items.values()}
    found = [known[name.casefold()] for name in names if name.casefold() in known]
    return list(dict.fromkeys(found))


def content_events(corpus: Corpus, items: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The content events of these items, as of now."""
    wanted = set(items)
    for event in corpus.events(occurred_at=_at(datetime.now(UTC))):
        if event["item_id"] in wanted:
            yield event


def interaction_events(corpus: Corpus, items: Sequence[str]) -> list[dict[str, Any]]:
    """What the demo's people did with the published items, in the last minutes."""
    published = set(items)
    known = {item.name.casefold(): item.item_id for item in corpus.items.values() if item.item_id in published}
    now = datetime.now(UTC)
    return [
        _interaction(user, place, known[name.casefold()], now)
        for user, liked in PEOPLE.items()
        for place, name in enumerate(liked)
        if name.casefold() in known
    ]


def _interaction(user: str, place: int, item_id: str, now: datetime) -> dict[str, Any]:
    action = _ACTIONS[place % len(_ACTIONS)]
    event = {
        "type": "interaction",
        "event_id": f"demo-{user}-{place}",
        "occurred_at": _at(now - timedelta(minutes=len(_ACTIONS) - place)),
        "user_id": user,
        "item_id": item_id,
        "action": action,
    }
    return event | ({"value": _HIGHEST_RATING} if action == "rate" else {})


def questions(corpus: Corpus) -> list[Question]:
    """Every question, in the order in which they are asked."""
    cat_picture = another_look(corpus.media(corpus.find(_PICTURE).item_id, "image"))
    spoken = inline(corpus.spoken_query(_SPOKEN), "audio/wav")
    rocket = corpus.find("rocket").item_id
    clip = clip_of(corpus.media(rocket, "image"))
    pictures = {"search_in": ["image"]}
    image_part = {"modality": "image", **cat_picture}
    return [
        _search("text", 'the word "cat", in everything', [_text("cat")]),
        _search("text-to-image", 'the word "cat", among pictures alone', [_text("cat")], **pictures),
        _search("chinese-to-image", 'the word "猫", among pictures alone', [_text("猫")], **pictures),
        _search("image", "a picture: a cat, mirrored, tilted and without colours", [image_part], **pictures),
        _search("speech", f'a voice says "{_SPOKEN}" (WAV), among pictures alone', [{"modality": "audio", **spoken}],
                **pictures),
        _search("text-and-image", 'the picture of the cat and the word "heart"', [_text("heart"), image_part]),
        _search("negative", '"pet", but away from "cat"', [_text("pet"), _text("cat", weight=-0.7)]),
        _search("filter", '"fruit", only food that came in 2016 or later', [_text("fruit")],
                filter='.category == "food-drink" and .year >= 2016'),
        _question("recommend", "recommend", "recommended for mika, who likes cats", user_id="mika"),
        _search("personalised", '"moon" for tomo, who likes space travel', [_text("moon")], user_id="tomo",
                personalise=0.4),
        _question("cold-user", "recommend", "recommended for somebody new: what everybody likes", user_id="newcomer"),
        _question("similar", "similar", "neighbours of the rocket", item_id=rocket),
        _search("clip", "a clip (MP4) in which a rocket flies, among texts alone", [{"modality": "video", **clip}],
                search_in=["text"]),
        _search("place", "a place: 35.01 north, 135.77 east (Kyoto), among pictures alone",
                [{"modality": "location", "latitude": 35.01, "longitude": 135.77}], **pictures),
        _search("readings", "six hours of a weather station in a thunderstorm, among pictures alone",
                [{"modality": "sensor", **thunderstorm()}], **pictures),
    ]  # fmt: skip


def _search(name: str, title: str, parts: list[dict[str, Any]], **fields: Any) -> Question:
    return _question(name, "search", title, parts=parts, **fields)


def _question(name: str, kind: str, title: str, **fields: Any) -> Question:
    query = {"kind": kind, "k": _K, "explain": True, "deadline_ms": _DEADLINE_MS, **fields}
    return Question(name=name, title=title, query=query)


def _text(words: str, *, weight: float = 1.0) -> dict[str, Any]:
    return {"modality": "text", "text": words, "weight": weight}


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
