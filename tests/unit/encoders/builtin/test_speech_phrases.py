"""Phrases to say are drawn the same way for a seed, and short words are said more often."""

from encoders.builtin.training.speech_data import HELD_OUT_VOICES
from encoders.builtin.training.speech_phrases import NOT_A_CONCEPT, Phrase, draw_takes, extra_takes

PHRASES = [
    Phrase(text="cat", concept=3, takes=2),
    Phrase(text="grinning cat", concept=4, takes=2),
    Phrase(text="kitten", takes=1),
    Phrase(text="automobile", concept=5, takes=2),
]


def test_draws_are_repeatable_and_held_out_voices_stay_out() -> None:
    """A seed draws the same voices again, another seed others, and none that measures."""
    utterances, rows = draw_takes(PHRASES * 50, seed=4)

    assert draw_takes(PHRASES * 50, seed=4) == (utterances, rows)
    assert draw_takes(PHRASES * 50, seed=5)[0] != utterances
    assert rows[:7] == [0, 0, 1, 1, 2, 3, 3]
    assert len(utterances) == 7 * 50
    held_out_variants = {voice.partition("+")[2] for voice in HELD_OUT_VOICES}
    assert not held_out_variants & {utterance.voice.partition("+")[2] for utterance in utterances}
    assert not any("scotland" in utterance.voice for utterance in utterances)


def test_short_words_are_said_again() -> None:
    """Single short words get extra takes, names more than mere words; longer ones and phrases get none."""
    extra = extra_takes(PHRASES)

    assert list(extra) == [0, 2]
    assert extra[0].takes > extra[2].takes >= 1
    assert extra[2].concept == NOT_A_CONCEPT
