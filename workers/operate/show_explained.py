"""Explanations for people: every pair of a part and a modality as a bar, and what else made the score."""

from typing import Final

from rich.table import Table
from rich.text import Text

from workers.contracts.explanation import Explanation, HitExplanation, PairScore
from workers.contracts.result import Hit

WIDTH: Final = 16
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_UNITS: Final = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0))


def bar(value: float, width: int = WIDTH) -> str:
    """A bar of a value in [0, 1], in eighths of a character."""
    eighths = round(min(max(value, 0.0), 1.0) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


def pairs_table(told: HitExplanation) -> Table:
    """A row a pair: its calibrated similarity as a bar, what was measured, its share of the score, its place."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("part → item")
    table.add_column("calibrated")
    for name in ("", "raw", "σ", "weight", "place"):
        table.add_column(name, justify="right")
    for pair in told.pairs:
        table.add_row(*_cells(pair))
    return table


def sums_line(hit: Hit, told: HitExplanation) -> Text:
    """What the score is made of, and how old the item is."""
    parts = [f"{name} {value:.3f}" for name, value in told.contributions.items()]
    words = [f"score {hit.score:.3f} = {' + '.join(parts)}"] if len(parts) > 1 else []
    if told.profile is not None:
        words.append(f"like this user's taste {told.profile:.2f}")
    words += [f"{name} {value:.2f}" for name, value in told.boosts.items() if value > 0]
    if told.distance_km is not None:
        words.append(f"{told.distance_km:.1f} km away")
    words.append(f"written {age(told.age_s)} ago")
    return Text(" · ".join(words), style="dim")


def made_line(made: Explanation) -> Text:
    """How the whole list was made: the strategy and every constant it read."""
    weights = {modality: weight for modality, weight in made.weights.items() if weight != 1.0}
    words = [f"{made.strategy}{f' ({made.fusion_weights})' if made.fusion_weights else ''}", made.similarity.value]
    words.append(f"missing: {made.missing}")
    words += [f"{name} {value:g}" for name, value in made.constants.items()]
    words += [f"weight of {name} {value:g}" for name, value in weights.items()]
    words += [f"personalised by {made.personalise:g}"] if made.personalise else []
    words += [f"layout {made.layout}"] if made.layout else []
    return Text("made by " + " · ".join(words), style="dim")


def age(seconds: float) -> str:
    """A time in its largest unit, such as ``3 d``."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"


def _cells(pair: PairScore) -> tuple[str, ...]:
    part = f"{pair.query} {pair.part + 1} → {pair.item}"
    numbers = (f"{pair.calibrated:.2f}", f"{pair.similarity:.2f}", f"{pair.deviations:+.1f}")
    return part, bar(pair.calibrated), *numbers, f"{pair.weight:.0%}", f"#{pair.rank}"
