"""Moments as people type them: so long ago, a day, or a time."""

import re
from datetime import UTC, datetime

import typer

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_ms(text: str | None, now_ms: int) -> int | None:
    """Read ``90s``, ``15m``, ``2h``, ``3d`` or ``1w`` (ago), or a date or time of RFC 3339; UTC where no zone is named.

    Returns:
        Milliseconds since 1970; None for None.

    Raises:
        typer.BadParameter: It is none of these.
    """
    if text is None:
        return None
    if found := re.fullmatch(r"(\d{1,9})([smhdw])", text.strip()):
        return now_ms - int(found[1]) * _UNIT_S[found[2]] * 1000
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        hint = "give 15m, 2h or 3d (ago), 2026-05-01, or 2026-05-01T12:00:00Z"
        raise typer.BadParameter(f"{text!r} is no moment: {hint}") from exc
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def written(at_ms: int) -> str:
    """A moment in UTC to the second, as tables show it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
