"""The page of settings is written from the code."""

from pathlib import Path

from config.describe import settings_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_the_committed_page_is_current() -> None:
    """docs/settings.md says what the code says; `make schema` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == settings_page()


def test_every_setting_says_what_it_means() -> None:
    """No row of the table ends without a meaning."""
    assert not [row for row in settings_page().splitlines() if row.endswith("|  |")]
