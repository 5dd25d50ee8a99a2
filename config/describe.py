"""Settings as a Markdown table: the page in docs/ is written from the code and tested to be current."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.settings import ENV_PREFIX, Settings

_HEAD = """# Settings

Written from `config/settings.py` by `crosscurrent schema`; a test keeps it current.

Precedence: command line, then environment, then the YAML file named by `CROSSCURRENT_CONFIG` (or `--config`), then
the default. A name in the YAML file is nested (`redis: {shards: 4}`); its environment variable joins the parts with
two underscores. Lists and mappings are written as JSON in the environment. Unknown names are refused, and every
problem is reported at once.

| setting | environment variable | default | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    """The whole page, ending in a newline."""
    rows = (
        f"| `{name}` | `{ENV_PREFIX}{name.upper().replace('.', '__')}` | {_default(field)} | {_meaning(field)} |\n"
        for name, field in _leaves(Settings)
    )
    return _HEAD + "".join(rows)


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Mapping):
        value = json.dumps({str(key): inner for key, inner in value.items()}) if value else None
    if isinstance(value, bool):
        value = str(value).lower()
    return "–" if value in ("", None, ()) else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
