"""Results hold whatever an index holds of an item."""

from config.vocabulary import ItemId
from workers.contracts.parse import parse_event
from workers.contracts.result import RESULTS, Hit, Result


def test_a_hit_shows_more_attributes_than_a_sender_may_give() -> None:
    """64 of the sender, the two of its location, and what the worker added; the result is read back as it was sent."""
    attributes: dict[str, str | int | float | bool | list[str]] = {f"name-{number}": number for number in range(70)}
    hit = Hit(rank=1, item_id=ItemId("a"), score=0.5, attributes=attributes)
    sent = Result.model_validate(
        {"query_id": "q", "status": "ok", "hits": [hit.model_dump()], "model": "m@1"}, strict=False
    )
    assert parse_event(sent.to_bytes(), RESULTS).hits[0].attributes == attributes
