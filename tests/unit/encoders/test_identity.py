"""A space is told without loading it."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.errors import Misconfigured
from config.settings import ModelSettings
from config.vocabulary import ModelRef
from encoders.identity import Space, identify
from encoders.registry import load_encoders


def test_it_is_the_space_that_loading_leads_to() -> None:
    """Name, version and length agree with the loaded encoders."""
    settings = ModelSettings(profile="deterministic")
    loaded = load_encoders(settings)

    assert identify(settings) == Space(model=loaded.model, dims=loaded.dims)


def test_telling_it_imports_no_deep_learning_library() -> None:
    """A worker that embeds nothing stays small."""
    code = (
        "import sys; from config.settings import ModelSettings; from encoders.identity import identify; "
        "identify(ModelSettings(profile='deterministic')); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_a_profile_without_length_is_refused(tmp_path: Path) -> None:
    """The message names the profile and what it lacks."""
    profile = tmp_path / "mine.yaml"
    profile.write_text("name: mine\nkind: transformers\nmodalities:\n  text:\n    model: " + str(tmp_path))

    with pytest.raises(Misconfigured, match=r"mine.*dims"):
        identify(ModelSettings(profile=str(profile)))


def test_a_version_of_its_own_is_kept(tmp_path: Path) -> None:
    """Vectors of two versions never meet."""
    profile = tmp_path / "mine.yaml"
    profile.write_text("name: mine\nversion: '7'\nkind: deterministic\ndims: 32\nmodalities:\n  text:\n")

    assert identify(ModelSettings(profile=str(profile))) == Space(model=ModelRef("mine", "7"), dims=32)
