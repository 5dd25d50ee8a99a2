"""The global options of the command line, and the settings and logging that follow from them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was said before the command.

    Args:
        config: Settings file, or None for the one that ``CROSSCURRENT_CONFIG`` names.
        log_level: Least severe message that is logged, or None for what the settings say.
    """

    config: Path | None = None
    log_level: str | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """Settings that the global options decide."""
        return {"log_level": self.log_level} if self.log_level else {}


def options_of(ctx: typer.Context) -> Options:
    """The global options, from any command's context."""
    found = ctx.find_object(Options)
    return found or Options()


def settings_of(ctx: typer.Context, overrides: Mapping[str, Any] | None = None) -> "Settings":
    """Load the settings for a command that talks to servers, and quieten the libraries' own logging.

    Args:
        ctx: The command's context, which holds the global options.
        overrides: What the command's own options decide.

    Raises:
        Misconfigured: With every problem found.
    """
    from config.settings import load_settings

    options = options_of(ctx)
    settings = load_settings(options.config, {**options.overrides, **(overrides or {})})
    # The Kafka libraries log each failed connection; the command says it once, in its own words.
    level = options.log_level or "CRITICAL"
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    return settings
