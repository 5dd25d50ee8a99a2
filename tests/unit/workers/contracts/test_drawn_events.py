"""Whatever fits a schema, or nearly, is an event or one refusal; and an event that was read is written as it was."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import RejectEvent
from tests.fuzzing.mutations import damaged, damaged_json
from tests.strategies import events_of
from workers.contracts.parse import parse_event
from workers.contracts.schema import CHANNELS, Channel

BRIEF = settings(derandomize=True, max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: str(channel.topic))
def test_every_event_is_read_or_refused(channel: Channel) -> None:
    """Nothing else is ever raised, and what was read comes back the same from its own bytes."""

    @BRIEF
    @given(events_of(channel.topic), st.integers(0, 2**32))
    def check(event: bytes, seed: int) -> None:
        dice = random.Random(seed)
        for value in (event, damaged(event, [event], dice), damaged_json(event, [event], dice)):
            try:
                read = parse_event(value, channel.adapter)
            except RejectEvent as refusal:
                assert refusal.message
                continue
            assert parse_event(read.to_bytes(), channel.adapter) == read

    check()
