"""Every line says who wrote it and which event it is about."""

import json
import logging

from config.vocabulary import Role
from workers.streams.logs import JsonFormatter, TextFormatter


def message(**ids: object) -> logging.LogRecord:
    """One warning."""
    made = logging.LogRecord("workers.streams.delivery", logging.WARNING, "x.py", 1, "refused %s", ("猫",), None)
    made.__dict__.update(ids)
    return made


def test_json_is_one_object_a_line_with_the_ids() -> None:
    """A log collector finds an event by topic, partition and offset."""
    line = JsonFormatter(Role.CONTENT).format(message(topic="c.content", partition=1, offset=7, note="hidden"))

    read = json.loads(line)
    assert "\n" not in line
    assert (read["role"], read["message"], read["level"]) == ("content", "refused 猫", "WARNING")
    assert (read["topic"], read["partition"], read["offset"]) == ("c.content", 1, 7)
    assert "hidden" not in line


def test_a_traceback_stays_in_its_line() -> None:
    """As a field, so that it is not torn apart."""
    made = message()
    made.exc_info = (ZeroDivisionError, ZeroDivisionError("a\nb"), None)

    line = JsonFormatter(Role.CONTENT).format(made)

    assert "\n" not in line
    assert "ZeroDivisionError" in json.loads(line)["traceback"]


def test_text_names_role_and_process() -> None:
    """Several workers' lines in one terminal can be told apart."""
    assert " queries[" in TextFormatter(Role.QUERIES).format(message())
