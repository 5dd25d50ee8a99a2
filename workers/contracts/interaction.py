"""Interaction events: what a user did with an item, and the wish to be forgotten. The key is the ``user_id``."""

from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from config.vocabulary import Action
from workers.contracts.base import Event, Text, WireId, WireItemId, WireQueryId, WireUserId

LOWEST_RATING, HIGHEST_RATING = 1.0, 5.0


class Interaction(Event):
    """A user did something with an item."""

    type: Literal["interaction"] = "interaction"
    """The kind of event."""
    event_id: WireId
    """Identity of this event: counted once, however often it is sent."""
    user_id: WireUserId
    """Who; also the record's key, so that a user's events stay in order."""
    item_id: WireItemId
    """With what; it need not be indexed yet."""
    action: Action
    """What was done."""
    value: float | None = Field(None, ge=LOWEST_RATING, le=HIGHEST_RATING)
    """The rating, 1 to 5; required by ``rate`` and refused elsewhere."""
    text: Text | None = None
    """The comment; required by ``comment``."""
    query_id: WireQueryId | None = None
    """The query whose result led here: joins clicks to rankings."""
    session_id: WireId | None = None
    """The visit it belongs to."""

    @model_validator(mode="after")
    def _has_what_its_action_needs(self) -> Self:
        if (self.action is Action.RATE) != (self.value is not None):
            msg = "'value' belongs to the action 'rate' and is required there (1 to 5)"
            raise ValueError(msg)
        if self.action is Action.COMMENT and self.text is None:
            msg = "the action 'comment' needs 'text'"
            raise ValueError(msg)
        return self


class UserForget(Event):
    """A user's profile and history are erased; replays of older interactions change nothing."""

    type: Literal["user.forget"] = "user.forget"
    """The kind of event."""
    user_id: WireUserId
    """Whom to forget; also the record's key."""


InteractionEvent = Annotated[Interaction | UserForget, Field(discriminator="type")]

INTERACTION_EVENTS: TypeAdapter[Interaction | UserForget] = TypeAdapter(InteractionEvent)
"""Reads an event of the interactions topic."""
