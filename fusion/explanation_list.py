"""Why a hit stands where it stands for the list's sake: its category, its group, whom it stands for."""

from typing import Final

from fusion.arrangement import categories_of, value_of
from fusion.candidates import Candidates
from fusion.listing import Listing
from fusion.request import RankingRequest

_NAMED: Final = 3
"""Near-duplicates named in a sentence."""


def list_reasons(request: RankingRequest, candidates: Candidates, listing: Listing, place: int) -> list[str]:
    """Sentences about one hit; ``place`` is its place among all candidates."""
    before = listing.order[: int((listing.order == place).argmax())].tolist()
    return [
        *_about_coverage(request, candidates, before, place),
        *_about_group(request, candidates, before, place),
        *_about_collapsed(candidates, listing.collapsed.get(place, [])),
    ]


def _about_coverage(request: RankingRequest, candidates: Candidates, before: list[int], place: int) -> list[str]:
    if request.coverage is None:
        return []
    name = request.coverage.attribute
    covered = {category for each in before for category in categories_of(candidates.attributes[each], name)}
    new = [str(each) for each in categories_of(candidates.attributes[place], name) if each not in covered]
    return [f"the first here with {name} {', '.join(new)}"] if new else []


def _about_group(request: RankingRequest, candidates: Candidates, before: list[int], place: int) -> list[str]:
    if request.group_by is None:
        return []
    name, most = request.group_by.attribute, request.group_by.most
    value = value_of(candidates.attributes[place], name)
    if value is None:
        return [f"has no {name}, so it is in no group"]
    number = 1 + sum(value_of(candidates.attributes[each], name) == value for each in before)
    return [f"number {number} of at most {most} with {name} {value}"]


def _about_collapsed(candidates: Candidates, collapsed: list[int]) -> list[str]:
    if not collapsed:
        return []
    named = ", ".join(candidates.ids[place] for place in collapsed[:_NAMED])
    more = f" and {len(collapsed) - _NAMED} more" if len(collapsed) > _NAMED else ""
    return [f"stands for its near-duplicates {named}{more}"]
