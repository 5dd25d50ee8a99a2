"""Logging of a worker: text or one JSON object a line, to stderr, with the ids that find an event again."""

import json
import logging
import os
import sys
from datetime import UTC, datetime

from config.settings import Settings
from config.vocabulary import Role

# What a message carries with ``extra=``; anything else a library attaches stays out of the line.
_IDS = ("topic", "partition", "offset", "item_id", "user_id", "query_id")
# These tell each rebalance and each connection in many lines; their warnings are worth having, their chatter is not.
_CHATTY = ("faust", "mode", "aiokafka", "asyncio", "aiohttp", "kafka", "urllib3", "PIL")


class TextFormatter(logging.Formatter):
    """One line a message for people; tracebacks follow on lines of their own."""

    def __init__(self, role: Role) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {role}[{os.getpid()}] %(name)s: %(message)s")
        self.default_msec_format = "%s.%03d"


class JsonFormatter(logging.Formatter):
    """One JSON object a message for log collectors; tracebacks are a field."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Write the record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "role": self._role,
            "pid": os.getpid(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _IDS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(role: Role, settings: Settings) -> None:
    """Send everything to stderr in the chosen format; replaces what was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(role) if settings.log_format == "json" else TextFormatter(role))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if settings.log_level == "DEBUG" else logging.WARNING)
