"""How a list is made, as it is written on the command line, in the wire's form."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import typer

from config.vocabulary import BoostKind, RankingMethod

_DURATION = re.compile(r"^(?P<count>\d+(\.\d*)?|\.\d+)(?P<unit>[smhdw]?)$")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(written: str) -> float:
    """Read ``90``, ``30m``, ``12h`` or ``7d``.

    Raises:
        ValueError: It is no such duration.
    """
    match = _DURATION.match(written)
    if match is None:
        msg = f"{written!r} is no duration such as 90, 30m, 12h or 7d"
        raise ValueError(msg)
    return float(match["count"]) * _SECONDS[match["unit"]]


_FORMS: Final[Mapping[str, Sequence[tuple[str, Callable[[str], Any]]]]] = {
    BoostKind.RECENCY: [("share", float), ("half_life_s", seconds), ("attribute", str)],
    BoostKind.POPULARITY: [("share", float)],
    BoostKind.NUMBER: [("share", float), ("attribute", str), ("shape", str), ("origin", float), ("scale", float)],
}
BOOST_HELP: Final = "recency:SHARE:HALF_LIFE, popularity:SHARE or number:SHARE:ATTRIBUTE:SHAPE:ORIGIN:SCALE; repeat."


def ordering(
    *,
    method: RankingMethod | None = None,
    diversity: float | None = None,
    cover: str = "",
    group_by: str = "",
    collapse: str = "",
    boosts: Sequence[str] = (),
) -> dict[str, Any]:
    """Fields of a query event; those that were not written are absent.

    Raises:
        typer.BadParameter: Something is not written as its option says.
    """
    ranking = {"method": method.value if method else None, "diversity": diversity, "coverage": _coverage(cover)}
    given = {
        "ranking": {name: value for name, value in ranking.items() if value is not None} or None,
        "group_by": _grouped(group_by),
        "collapse": _collapsed(collapse),
        "boosts": [boost(written) for written in boosts] or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def boost(written: str) -> dict[str, Any]:
    """Read ``recency:0.2:7d``, ``popularity:0.1`` or ``number:0.3:price:linear:0:50``.

    Raises:
        typer.BadParameter: It is not written so.
    """
    kind, *values = written.split(":")
    form = _FORMS.get(kind, ())
    try:
        read = {name: convert(value) for (name, convert), value in zip(form, values, strict=False)}
    except ValueError as exc:
        raise typer.BadParameter(f"--boost is {BOOST_HELP} Not {written} ({exc})") from exc
    needed = 1 if kind == BoostKind.POPULARITY else 2 if kind == BoostKind.RECENCY else len(form)
    if not form or not needed <= len(values) <= len(form):
        raise typer.BadParameter(f"--boost is {BOOST_HELP} Not {written}")
    return {"kind": kind, **read}


def _coverage(written: str) -> dict[str, Any] | None:
    if not written:
        return None
    attribute, _, weight = written.partition(":")
    return {"attribute": attribute} | ({"weight": _number(weight, "--cover is ATTRIBUTE:WEIGHT")} if weight else {})


def _grouped(written: str) -> dict[str, Any] | None:
    if not written:
        return None
    attribute, _, most = written.partition(":")
    return {"attribute": attribute} | ({"most": int(_number(most, "--group-by is ATTRIBUTE:MOST"))} if most else {})


def _collapsed(written: str) -> dict[str, Any] | None:
    if not written:
        return None
    similarity, _, attribute = written.partition(":")
    read = {"similarity": _number(similarity, "--collapse is SIMILARITY or SIMILARITY:ATTRIBUTE")}
    return read | ({"attribute": attribute} if attribute else {})


def _number(written: str, form: str) -> float:
    try:
        return float(written)
    except ValueError as exc:
        raise typer.BadParameter(f"{form}, and {written!r} is no number") from exc
