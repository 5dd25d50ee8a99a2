"""What training changes in spoken features keeps what it must."""

import torch

from encoders.builtin.speech_head import FEATURES, SLOTS, warp_features
from encoders.builtin.training.speech_distort import CUT, HIDDEN, change_timbre, hide_slots, warped_places


def test_time_runs_on_in_every_warp() -> None:
    """Slots stay in order and within the utterance but for the share that may be cut, and no two warps are alike."""
    torch.manual_seed(0)
    places = warped_places(500)

    assert places.shape == (500, SLOTS)
    assert (places.diff(dim=1) > 0).all()
    assert places.min() >= -CUT
    assert places.max() <= 1 + CUT
    even = (torch.arange(SLOTS) + 0.5) / SLOTS
    assert torch.allclose(places.mean(dim=0), even, atol=0.02)
    assert places.std(dim=0)[SLOTS // 2] > 0.03


def test_even_places_are_what_is_looked_at_without_any() -> None:
    """So that what is trained is what is served."""
    features, steps = torch.randn(3, 20, FEATURES), torch.tensor([20, 7, 1])
    even = ((torch.arange(SLOTS) + 0.5) / SLOTS).expand(3, SLOTS)

    assert torch.equal(warp_features(features, steps), warp_features(features, steps, even))


def test_an_offset_lasts_for_the_utterance() -> None:
    """The same at every step, another for each utterance, in each feature's own measure."""
    features, scale = torch.zeros(200, 4, FEATURES), torch.ones(FEATURES)
    scale[0] = 10.0
    changed = change_timbre(features, scale)

    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert changed[:, 0, 0].std() > 5 * changed[:, 0, 1].std() > 0


def test_hidden_slots_are_whole_and_rare() -> None:
    """A slot is heard whole or is the mean; how long the clip is stays known."""
    inputs = torch.ones(400, SLOTS * FEATURES + 1)
    hidden = hide_slots(inputs)

    slots = hidden[:, :-1].view(400, SLOTS, FEATURES)
    assert torch.equal(slots.amin(dim=2), slots.amax(dim=2))
    assert abs(float((slots[:, :, 0] == 0).float().mean()) - HIDDEN) < 0.02
    assert (hidden[:, -1] == 1).all()
