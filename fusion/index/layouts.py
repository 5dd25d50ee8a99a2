"""Where a model's items lie, of the places that there may be: pure values, and the changes from one to the next.

At most two layouts follow the stream, and one of them answers. The other one is being filled, or filled, or was live
before; what may be done next depends on which of these.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from config.errors import Misconfigured
from config.vocabulary import ModelRef

HOME = ""
"""Name of the layout that the settings describe, which needs no record."""


class OtherState(StrEnum):
    """What the layout is that does not answer."""

    FILLING = "filling"
    FILLED = "filled"
    PREVIOUS = "previous"
    """It answered before, and follows the stream still: one may go back to it."""
    DROPPED = "dropped"
    """It follows the stream no more, and its keys are being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A set of keys that holds a model's items.

    Args:
        name: Part of every key; ``HOME`` for the settings' own.
        shards: An item lives in shard ``crc32(item_id) mod shards``.
        profile: Which encoders make its vectors, for whoever must load them; empty where only one model ever was.
        heads: Alignment heads after them, as ``model.heads`` says it; empty for none.
    """

    name: str
    shards: int
    model: ModelRef
    profile: str = field(default="", compare=False)
    heads: str = field(default="", compare=False)

    def __str__(self) -> str:
        label = self.name or "the first"
        return f"{label} ({self.model}, {self.shards} shard{'s' if self.shards > 1 else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutRecord:
    """Which layouts there are.

    Args:
        generation: 1 at the first change, one more at each.
        live: Answers queries.
        other: Follows the stream too.
        state: What the other one is; None without one.
    """

    generation: int
    live: Layout
    other: Layout | None = None
    state: OtherState | None = None

    def of(self, model: ModelRef) -> tuple[Layout, ...]:
        """The layouts that follow the stream with items of a model, the live one first."""
        return tuple(each for each in (self.live, self.second) if each is not None and each.model == model)

    @property
    def second(self) -> Layout | None:
        """The other one, if it follows the stream."""
        return None if self.state is OtherState.DROPPED else self.other


def begun(record: LayoutRecord | None, live: Layout, new: Layout) -> LayoutRecord:
    """A second layout is being filled beside the one that answers.

    Args:
        record: What holds now; None when nothing was ever changed.
        live: What answers where there is no record; where there is one it adds how its model is loaded.
        new: The second one, with a name that was never used.

    Raises:
        Misconfigured: There is a second one already, or it would be like the first.
    """
    now = record or LayoutRecord(generation=0, live=live)
    if live.model == now.live.model and live.profile:
        now = replace(now, live=replace(now.live, profile=live.profile, heads=live.heads))
    if now.other is not None:
        raise Misconfigured(
            f"a second layout is there already: {now.other}, {now.state}; see --status, and --drop it before another"
        )
    if (now.live.shards, now.live.model) == (new.shards, new.model):
        raise Misconfigured(f"the live layout is like that already: {now.live}")
    return replace(now, generation=now.generation + 1, other=new, state=OtherState.FILLING)


def filled(record: LayoutRecord) -> LayoutRecord:
    """The second layout holds what the live one holds."""
    return replace(record, generation=record.generation + 1, state=OtherState.FILLED)


def flipped(record: LayoutRecord | None, wanted: OtherState) -> LayoutRecord:
    """The second layout answers; the first one follows the stream still.

    Args:
        record: What holds now.
        wanted: ``FILLED`` to go forward, ``PREVIOUS`` to go back.

    Raises:
        Misconfigured: There is no such layout to go to.
    """
    if record is None or record.second is None:
        raise Misconfigured("there is one layout only: fill a second one first")
    if record.state is not wanted:
        raise Misconfigured(_NOT_SO[wanted].format(other=record.second, state=record.state))
    back = OtherState.FILLED if wanted is OtherState.PREVIOUS else OtherState.PREVIOUS
    return replace(record, generation=record.generation + 1, live=record.second, other=record.live, state=back)


_NOT_SO = {
    OtherState.FILLED: "{other} cannot be flipped to, it is {state}: a layout that is filling is done when the command "
    "that fills it ends (start it again if it was ended), and to a previous one leads --back",
    OtherState.PREVIOUS: "{other} is {state}, and was not live before: --flip leads to it once it is filled",
}


def dropped(record: LayoutRecord | None) -> LayoutRecord:
    """The layout that does not answer follows the stream no more; the same record where that is so already.

    Raises:
        Misconfigured: There is no second one.
    """
    if record is None or record.other is None:
        raise Misconfigured("there is one layout only: nothing can be dropped")
    if record.state is OtherState.DROPPED:
        return record
    return replace(record, generation=record.generation + 1, state=OtherState.DROPPED)


def forgotten(record: LayoutRecord) -> LayoutRecord:
    """A dropped layout is no more."""
    return replace(record, generation=record.generation + 1, other=None, state=None)


def dump_record(record: LayoutRecord) -> str:
    """A record as JSON."""
    raw = asdict(record)
    for name in ("live", "other"):
        if raw[name] is not None:
            raw[name]["model"] = str(getattr(record, name).model)
    return json.dumps(raw, separators=(",", ":"))


def load_record(text: bytes) -> LayoutRecord:
    """Read what ``dump_record`` wrote.

    Raises:
        Misconfigured: It is something else, such as a later version's.
    """
    try:
        raw = json.loads(text)
        return LayoutRecord(
            generation=int(raw["generation"]),
            live=_layout(raw["live"]),
            other=None if raw["other"] is None else _layout(raw["other"]),
            state=None if raw["state"] is None else OtherState(raw["state"]),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise Misconfigured(
            f"the record of layouts in Redis is not understood ({exc!r}): use the version that wrote it"
        ) from exc


def _layout(raw: dict[str, str]) -> Layout:
    return Layout(
        name=str(raw["name"]),
        shards=int(raw["shards"]),
        model=ModelRef.parse(raw["model"]),
        profile=str(raw["profile"]),
        heads=str(raw["heads"]),
    )
