"""The proof: what the system holds against what was sent. Each check names what is wrong, with examples.

Nothing here knows how the system came to its state, or which faults there were; a loss of Redis alone excuses answers
that were given while it held less than it should (docs/rebuild.md).
"""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from config.settings import PeopleSettings
from config.vocabulary import ItemId, UserId
from fusion.index.protocol import VectorIndex
from fusion.people.protocol import PeopleStore, Profile
from tests.chaos.world import Acted, ItemTruth, UserTruth, World
from workers.operate.past_records import PastRecord
from workers.streams.encoding import mean_direction

_TOGETHER: Final = 200
_EXAMPLES: Final = 3
_CLOSE: Final = 1e-6


class Check(StrEnum):
    """What is proven, in the words of the report."""

    ITEMS = "the index holds the last version of each item"
    DELETED = "what was deleted stays deleted"
    VECTORS = "the vectors topic ends with the last version of each item"
    ONCE = "every interaction counts once"
    PROFILES = "the profiles topic ends with each profile as it is"
    RESULTS = "every query has a result"
    ONE_RESULT = "results of one query are the same result"
    LETTERS = "what nobody can serve is a dead letter, and nothing else is"
    FORWARD = "commits only go forwards"
    SILENCE = "no partition is silent for more than the limit"
    ENDS = "no worker ends that was not asked to"
    DRAINED = "everything that was sent is done"
    HAPPENED = "every fault of the plan happened"


@dataclass(slots=True)
class Findings:
    """What is wrong, by check; empty for a check that holds."""

    wrong: dict[Check, list[str]] = field(default_factory=lambda: {check: [] for check in Check})

    def add(self, check: Check, what: str) -> None:
        """Note one thing."""
        self.wrong[check].append(what)

    @property
    def holds(self) -> bool:
        """Whether everything is proven."""
        return not any(self.wrong.values())

    def told(self) -> list[str]:
        """A line for each check that does not hold."""
        return [
            f"{check}: {len(each)} times not: {'; '.join(each[:_EXAMPLES])}"
            for check, each in self.wrong.items()
            if each
        ]


async def check_items(world: World, index: VectorIndex, findings: Findings) -> None:
    """The index against the newest event of every item."""
    ids = [ItemId(each) for each in world.items]
    for start in range(0, len(ids), _TOGETHER):
        some = ids[start : start + _TOGETHER]
        held, versions = await index.fetch(some), await index.versions(some)
        for item_id in some:
            truth, item = world.items[item_id], held.get(item_id)
            version_ms = versions[item_id].occurred_at_ms if item_id in versions else None
            text = None if item is None else str(item.attributes.get("text"))
            if truth.text is None and text is not None:
                findings.add(Check.DELETED, f"{item_id} is back as {text!r}")
            elif (version_ms, text) != (truth.version_ms, truth.text):
                findings.add(Check.ITEMS, f"{item_id} is {text!r} of {version_ms}, sent was {_said(truth)}")


def check_vectors(world: World, records: Iterable[PastRecord], findings: Findings) -> None:
    """The last record of every item on the compacted topic: what a rebuild makes of it once it was compacted."""
    last: dict[str, tuple[int | None, str | None]] = {}
    for record in records:
        item_id = (record.key or b"").decode()
        if record.value is None:
            last[item_id] = int(record.headers["version"].split(b":")[0]), None
        else:
            read = json.loads(record.value)
            last[item_id] = read["version_ms"], read["attributes"]["text"]
    for item_id, truth in world.items.items():
        if last.get(item_id) != (truth.version_ms, truth.text):
            findings.add(Check.VECTORS, f"{item_id} ends as {last.get(item_id)}, sent was {_said(truth)}")


def _said(truth: ItemTruth) -> str:
    return f"{truth.text!r} of {truth.version_ms}"


async def check_people(
    world: World, people: PeopleStore, index: VectorIndex, settings: PeopleSettings, findings: Findings
) -> dict[str, Profile | None]:
    """Every profile against the arithmetic of what its user did; the profiles, for who looks further."""
    shelf = await index.fetch(sorted({ItemId(one.item_id) for each in world.users.values() for one in each.acted}))
    directions = {item_id: mean_direction(list(item.vectors.values())) for item_id, item in shelf.items()}
    profiles: dict[str, Profile | None] = {}
    for user_id, truth in world.users.items():
        profile = await people.profile(UserId(user_id), now_ms=0)
        profiles[user_id] = profile
        if wrong := _difference(truth, profile, settings, directions):
            findings.add(Check.ONCE, f"{user_id} {wrong}")
    return profiles


def _difference(
    truth: UserTruth, profile: Profile | None, settings: PeopleSettings, directions: Mapping[ItemId, Any]
) -> str:
    if profile is None or not truth.acted:
        return "" if (profile is None) == (not truth.acted) else f"has {profile}, and did {len(truth.acted)} things"
    steps = Counter((step.item_id, step.occurred_at_ms) for step in profile.steps)
    wanted = Counter((one.item_id, one.at_ms) for one in truth.acted)
    if missing := wanted - steps:
        return f"lacks {missing.total()} of {wanted.total()} actions, such as {min(missing)}"
    if more := steps - wanted:
        return f"has {more.total()} actions too many, such as {min(more)}"
    return _wrong_sum(truth.acted, profile, settings, directions)


def _wrong_sum(
    acted: Sequence[Acted], profile: Profile, settings: PeopleSettings, directions: Mapping[ItemId, Any]
) -> str:
    """Steps tell which actions were counted, the sums how often."""
    newest_ms = acted[-1].at_ms
    known = [one for one in acted if one.item_id in directions]
    decays = [2 ** ((one.at_ms - newest_ms) / (settings.half_life_s * 1000)) for one in known]
    shares = [settings.action_weights[one.action] * decay for one, decay in zip(known, decays, strict=True)]
    strength = sum(map(abs, shares))
    total = sum(share * directions[ItemId(one.item_id)] for share, one in zip(shares, known, strict=True))
    if profile.sums is None or abs(profile.sums.strength / strength - 1) > _CLOSE:
        return f"has strength {profile.sums and profile.sums.strength}, and {strength} was earned"
    return "" if np.allclose(profile.sums.total, total, atol=1e-3) else "points elsewhere than its actions"


def check_profiles(
    world: World, profiles: Mapping[str, Profile | None], records: Iterable[PastRecord], findings: Findings
) -> None:
    """The last record of every user on the compacted topic against the store: what a rebuild would make of it."""
    last: dict[str, int | None] = {}
    for record in records:
        last[(record.key or b"").decode()] = None if record.value is None else len(json.loads(record.value)["steps"])
    for user_id in world.users:
        held = profiles[user_id]
        steps = None if held is None else len(held.steps)
        if last.get(user_id) != steps:
            findings.add(Check.PROFILES, f"{user_id} ends with {last.get(user_id)} steps, the store has {steps}")


def check_results(
    world: World, records: Iterable[PastRecord], losses_ms: Sequence[tuple[int, int]], findings: Findings
) -> int:
    """One logical result a query: copies are the same, but for answers given while Redis was lost; how many copies."""
    found: dict[str, set[str]] = defaultdict(set)
    seen: Counter[str] = Counter()
    for record in records:
        read = json.loads(record.value or b"{}")
        seen[read["query_id"]] += 1
        if not any(began <= record.at_ms <= ended for began, ended in losses_ms):
            found[read["query_id"]].add(_answer(read))
    for query_id, code in world.queries.items():
        answers = found[query_id]
        if not seen[query_id]:
            findings.add(Check.RESULTS, f"{query_id} has none")
        elif len(answers) > 1:
            findings.add(Check.ONE_RESULT, f"{query_id}: {' and '.join(sorted(answers))}")
        elif answers and (json.loads(min(answers))["code"] != code):
            findings.add(Check.ONE_RESULT, f"{query_id}: {min(answers)}, expected was {code or 'an answer'}")
    for query_id in seen.keys() - world.queries.keys():
        findings.add(Check.RESULTS, f"{query_id} was never asked")
    return seen.total() - world.asked


def _answer(read: dict[str, Any]) -> str:
    """What a result says, without when and how fast."""
    hits = [(hit["item_id"], round(hit["score"], 6)) for hit in read["hits"]]
    return json.dumps({"status": read["status"], "hits": hits, "code": (read.get("error") or {}).get("code")})


def check_letters(world: World, records: Iterable[PastRecord], findings: Findings) -> int:
    """Dead letters are exactly what was sent to become one; how many copies there are."""
    seen: Counter[bytes] = Counter()
    for record in records:
        letter = json.loads(record.value or b"{}")
        value = base64.b64decode(letter["value"] or "")
        seen[value] += 1
        if world.letters.get(value) != letter["reason"]:
            findings.add(Check.LETTERS, f"{letter['reason']} ({letter['message']}): {value[:120]!r}")
    for value in world.letters.keys() - seen.keys():
        findings.add(Check.LETTERS, f"no letter of {value[:120]!r}")
    return seen.total() - len(seen)
