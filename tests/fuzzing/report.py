"""What a run of the long form measured, as tables, and what of it must not be."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tests.fuzzing.campaign import Told
from tests.fuzzing.decoding import Decoded
from workers.contracts.dead_letter import DeadLetter

MOST_DRIFT: Final = 0.05
MOST_S: Final = 10.0
MOST_MIB: Final = 1024.0


def problems_of(told: Sequence[Told], decoded: Decoded, letters: Sequence[DeadLetter]) -> list[str]:
    """What must not be: events that ended nowhere, letters without a reason or of a defect, growth, crashes."""
    found = [f"{each.name}: {each.sent} sent, {each.outcomes.total()} ended" for each in told
             if each.sent != each.outcomes.total()]  # fmt: skip
    found += [f"{each.name}: memory moved by {each.drift:.1%}" for each in told if each.drift > MOST_DRIFT]
    refused = sum(each.outcomes["dead_letter"] for each in told)
    if len(letters) != refused:
        found.append(f"{refused} events were refused and there are {len(letters)} dead letters")
    found += [f"a letter without a message: {each.origin}" for each in letters if not each.message]
    found += [f"{each.role}: {each.message}" for each in letters if each.reason == "internal"]
    found += [f"file {number} ({name}) ended the process ({status})" for number, name, status in decoded.crashes]
    found += [f"file {number} ({name}) took {seconds:.1f} s" for seconds, number, name in decoded.slowest
              if seconds > MOST_S]  # fmt: skip
    if decoded.peak_mib > MOST_MIB:
        found.append(f"decoding took {decoded.peak_mib:.0f} MiB")
    return found


def page(told: Sequence[Told], decoded: Decoded, letters: int, words: dict[str, Any]) -> str:
    """The measurements in Markdown."""
    names = ("done", "stale", "duplicate", "error_result", "dead_letter")
    rows = [
        f"| {each.name} | {each.sent:,} | {' | '.join(f'{each.outcomes[name]:,}' for name in names)} "
        f"| {each.seconds:.0f} s | {each.warm[0]:.0f} → {each.warm[-1]:.0f} MiB | {each.drift:.1%} |"
        for each in told
    ]
    reasons = sum((each.reasons for each in told), Counter[str]())
    why = ", ".join(f"`{reason}` {count:,}" for reason, count in reasons.most_common() if count)
    lines = (
        f"`make fuzz` (seed {words['seed']}): {words['events']:,} damaged events, {words['media']:,} damaged files.",
        "",
        f"| | sent | {' | '.join(names)} | time | resident memory of the worker, warm → end | furthest |",
        f"|---|{'---|' * (len(names) + 4)}",
        *rows,
        "",
        f"{letters:,} dead letters, each with its reason: {why}.",
        "",
        *_decoding(decoded),
    )
    return "\n".join(lines) + "\n"


def _decoding(decoded: Decoded) -> list[str]:
    outcomes = Counter[str]()
    for (_, outcome), count in decoded.outcomes.items():
        outcomes[outcome] += count
    formats = len({name for name, _ in decoded.outcomes})
    seconds = sorted(each[0] for each in decoded.slowest)
    slowest = ", ".join(f"{each[0] * 1000:.0f} ms ({each[2]})" for each in decoded.slowest[:-4:-1])
    resident = [mib for number, mib in decoded.resident if number >= decoded.resident[-1][0] // 5]
    became = ", ".join(f"{name} {count:,}" for name, count in outcomes.most_common())
    memory = f"{resident[0]:.0f} → {resident[-1]:.0f} MiB, at most {decoded.peak_mib:.0f} MiB"
    return [
        f"Each file decoded alone, {formats} formats: {became}; {len(decoded.crashes)} crashes.",
        f"Median {seconds[len(seconds) // 2] * 1000:.1f} ms, slowest {slowest}; resident {memory}.",
    ]
