"""Dead letters for people: moments, selections, what is shown and hidden, and which are sent again."""

from datetime import UTC, datetime

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Reason
from config.vocabulary import Role
from workers.contracts.dead_letter import dead_letter
from workers.contracts.replays import LetterPlace, Origin, Replayed, ReplayMark, ReplayState
from workers.contracts.topics import Topic
from workers.operate.dead_letters import Letter, Marks, Selection
from workers.operate.moments import moment_ms, written
from workers.operate.readable import header_value, readable, readable_bytes, without_secrets
from workers.operate.replaying import Report, Terms
from workers.operate.show_letters import Counts, Row, letter_facts, letter_object, shown_event

NOW = 1_800_000_000_000
ORIGIN = Origin(topic="p.content", partition=1, offset=4, timestamp_ms=NOW - 60_000)
PLACE = LetterPlace(partition=0, offset=7)


def letter(
    value: bytes | None = b"{}",
    *,
    reason: Reason = Reason.NOT_JSON,
    message: str = "no JSON",
    attempts: int = 1,
    cut: bool = False,
    at_ms: int = NOW,
) -> Letter:
    """A letter of the content worker."""
    before = Replayed(letter=PLACE, first=PLACE, origin=ORIGIN, attempts=attempts - 1) if attempts > 1 else None
    told = dead_letter(
        role=Role.CONTENT, reason=reason, stage="parse", message=message, field="", origin=ORIGIN, key=b"k",
        value=value, headers={"authorization": b"Bearer x", "trace": b"\x00\xff"}, replayed=before, cut=cut,
    )  # fmt: skip
    return Letter(place=PLACE, at_ms=at_ms, letter=told)


def marked(*, times: int = 1, state: ReplayState = ReplayState.SENT, origin: Origin = ORIGIN) -> Marks:
    """What is known of the letter's replay."""
    mark = ReplayMark(
        occurred_at=datetime.now(UTC), letter=PLACE, origin=origin, state=state, from_offset=0, times=times
    )
    return Marks({PLACE: mark})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - 90_000),
        ("2h", NOW - 7_200_000),
        (" 3d ", NOW - 3 * 86_400_000),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("2027-01-15 08:00", NOW),
        (None, None),
    ],
)
def test_moments_are_read_as_people_type_them(text: str | None, expected: int | None) -> None:
    """So long ago, or a time; UTC where no zone is named."""
    assert moment_ms(text, NOW) == expected
    assert written(NOW) == "2027-01-15 08:00:00Z"


@pytest.mark.parametrize("text", ["", "yesterday", "3", "3 d", "-3d", "99999999999h", "2027-13-01"])
def test_no_moment_is_guessed(text: str) -> None:
    """A typo must not replay or delete something else."""
    with pytest.raises(typer.BadParameter, match="15m, 2h or 3d"):
        moment_ms(text, NOW)


def test_a_selection_takes_what_fits_all_of_it() -> None:
    """Reason, topic, place and time, the end excluded."""
    one = letter(reason=Reason.MEDIA_EMPTY)
    fits = {"reasons": frozenset({Reason.MEDIA_EMPTY}), "topics": frozenset({Topic.CONTENT}), "since_ms": NOW}
    assert Selection(prefix="p", **fits, until_ms=NOW + 1, places=frozenset({PLACE})).takes(one)  # type: ignore[arg-type]
    for other in (
        {"reasons": frozenset({Reason.INTERNAL})},
        {"topics": frozenset({Topic.QUERIES})},
        {"since_ms": NOW + 1},
        {"until_ms": NOW},
        {"places": frozenset({LetterPlace(partition=1, offset=7)})},
    ):
        assert not Selection(prefix="p", **other).takes(one)  # type: ignore[arg-type]
    assert not Selection(prefix="other", topics=frozenset({Topic.CONTENT})).takes(one)


@given(st.text())
def test_nothing_shown_moves_the_cursor_or_turns_text_around(text: str) -> None:
    """Not an escape, not a C1 control, not an override of the direction; what is harmless stays."""
    shown = readable(text, one_line=True)
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 or each in "\u202e\u2066\u2028\ufeff" for each in shown)
    assert readable("猫\n\ta") == "猫\n\ta"


def test_bytes_that_are_no_text_are_shown_in_hexadecimal() -> None:
    """Sixteen a row, with what is ASCII of them."""
    assert readable_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(8, 20))).splitlines() == [
        "00000000  89 50 4e 47 0d 0a 1a 0a 08 09 0a 0b 0c 0d 0e 0f  .PNG............",
        "00000010  10 11 12 13                                      ....",
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (b'"https://ann:pw@host/a.png"', b'"https://[hidden]@host/a.png"'),
        (b"https://h/a?w=3&X-Amz-Signature=abc&sig=d#e", b"https://h/a?w=3&X-Amz-Signature=[hidden]&sig=[hidden]#e"),
        (b'{"api_key": "a\\"b", "n": 1}', b'{"api_key": "[hidden]", "n": 1}'),
        (b'{"userPassword":"x","text":"my token is nice"}', b'{"userPassword":"[hidden]","text":"my token is nice"}'),
        (b"https://host/a@b.png?keyword=cat", b"https://host/a@b.png?keyword=cat"),
        (b"\xff\xfe?token=a&b", b"\xff\xfe?token=[hidden]&b"),
    ],
)
def test_secrets_are_hidden(given: bytes, shown: bytes) -> None:
    """Passwords in addresses, signatures of addresses, fields named like secrets; the rest is as it was."""
    assert without_secrets(given) == shown


def test_a_header_named_like_a_secret_is_hidden() -> None:
    """Whatever it holds."""
    assert header_value("Authorization", b"Basic x") == "[hidden]"
    assert header_value("trace", b"7") == "7"


def test_a_letter_is_shown_with_its_lineage_and_without_secrets() -> None:
    """Facts by name; the message's address is not signed any more."""
    facts = letter_facts(letter(attempts=3, message="https://h/a?sig=s was not found\x1b[2J"), 2)
    assert facts["message"] == r"https://h/a?sig=[hidden] was not found\x1b[2J"
    assert facts["refused so often"] == "3"
    assert facts["sent again"] == "2 times"
    assert facts["replay of"] == "0:7, the first letter was 0:7"
    assert facts["header authorization"] == "[hidden]"
    assert "sig=s " not in str(letter_object(Row.of(letter(message="https://h/a?sig=s x"), 0)))


def test_what_is_not_shown_whole_says_so() -> None:
    """The letter without bytes, the record without value, and the event that is too long to read."""
    assert shown_event(letter(b"{}")) == ("2 bytes:", "{}")
    assert "lie at the origin" in shown_event(letter(None, cut=True))[0]
    assert shown_event(letter(None)) == ("the record has no value", "")
    heading, text = shown_event(letter(b"x" * 100_000))
    assert "100000 bytes, of which this is the beginning" in heading
    assert len(text) < 10_000


def test_letters_are_counted_by_reason_and_stage() -> None:
    """The most frequent first."""
    counts = Counts()
    counts.add(letter(), replayed=True)
    counts.add(letter(at_ms=NOW + 5000), replayed=False)
    counts.add(letter(reason=Reason.INTERNAL), replayed=False)
    assert [(each["reason"], each["letters"], each["replayed"]) for each in counts.objects()] == [
        ("not_json", 2, 1),
        ("internal", 1, 0),
    ]
    assert next(iter(counts.objects()))["last"] == "2027-01-15 08:00:05Z"


def test_what_was_sent_is_not_sent_again_unless_asked() -> None:
    """A claim alone does not count, nor a mark of a topic made anew; a second claim keeps the first sending."""
    report = Report()
    assert Terms().leave(letter(), marked(), report)
    assert not Terms(again=True).leave(letter(), marked(), report)
    assert not Terms().leave(letter(), Marks({}), report)
    assert not Terms().leave(letter(), marked(state=ReplayState.CLAIMED), report)
    assert Terms().leave(letter(), marked(state=ReplayState.CLAIMED, times=2), report)
    assert not Terms().leave(letter(), marked(origin=ORIGIN.model_copy(update={"offset": 5})), report)
    assert (report.before, report.given_up) == (2, 0)


def test_an_event_refused_too_often_is_left() -> None:
    """So a replay of everything, run for ever, comes to an end with an event that can never be served."""
    report = Report()
    left = [Terms().leave(letter(attempts=attempts), Marks({}), report) for attempts in range(1, 8)]
    assert left == [False] * 4 + [True] * 3
    assert report.given_up == 3
    assert not Terms(again=True, most_attempts=9).leave(letter(attempts=8), marked(), report)
