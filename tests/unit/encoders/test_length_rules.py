"""Silent, very short and very long input: each rule that docs/media.md states, from the file to the vector."""

import io
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from config.errors import MediaRejected, Reason, RejectEvent
from config.settings import MediaSettings
from config.vocabulary import Modality
from encoders.base import Encoder, EncoderInput, LocationInput, SensorInput, TextInput
from encoders.builtin.artifacts import load_manifest
from encoders.media.audio import decode_audio
from encoders.media.image import SHORT_SIDE, decode_image
from encoders.media.video import decode_video
from encoders.modalities.builtin import BuiltinImageEncoder, BuiltinSpeechEncoder, BuiltinTextEncoder
from encoders.modalities.builtin_measures import BuiltinLocationEncoder, BuiltinSensorEncoder
from encoders.modalities.passages import MAX_PASSAGES
from tests.builtin_weights import save_random_weights

SETTINGS = MediaSettings()
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[Modality, Encoder]:
    """The built-in model's code on random weights: rules do not hang on what was trained."""
    folder, cpu = save_random_weights(tmp_path_factory.mktemp("weights")), torch.device("cpu")
    manifest = load_manifest(folder)
    text = BuiltinTextEncoder(manifest, cpu, folder)
    return {
        Modality.TEXT: text,
        Modality.IMAGE: BuiltinImageEncoder(manifest, cpu, folder),
        Modality.AUDIO: BuiltinSpeechEncoder(manifest, cpu, folder),
        Modality.LOCATION: BuiltinLocationEncoder(manifest, cpu, folder),
        Modality.SENSOR: BuiltinSensorEncoder(manifest, cpu, folder, words=text.read),
    }


def encode(encoder: Encoder, *items: EncoderInput) -> np.ndarray:
    """Unit vectors (n, dims)."""
    vectors = encoder.finish(encoder.forward([encoder.prepare(item) for item in items]))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    return vectors


def wav(samples: np.ndarray) -> bytes:
    """Samples in [-1, 1] as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()


def noise(seconds: float) -> np.ndarray:
    """A noise of that length."""
    return np.random.default_rng(1).uniform(-0.5, 0.5, int(seconds * RATE_HZ))


def clip(pictures: int, *, loudness: float | None = None) -> bytes:
    """A clip of so many grey pictures, one a second, with a second of a tone if its loudness is given."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        track = container.add_stream("aac", rate=RATE_HZ, layout="mono") if loudness is not None else None
        for number in range(pictures):
            shade = np.full((48, 64, 3), number % 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            tone = (loudness or 0.0) * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
            frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE_HZ, 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return buffer.getvalue()


class TestSounds:
    """From a single sample to ten minutes."""

    def test_silence_is_a_sound_like_any_other(self, encoders: dict[Modality, Encoder]) -> None:
        """It has a vector, nearly the same for every silence."""
        silences = [decode_audio(wav(np.zeros(int(seconds * RATE_HZ))), SETTINGS) for seconds in (0.01, 0.5, 4.0)]

        vectors = encode(encoders[Modality.AUDIO], *silences)

        assert (vectors @ vectors.T).min() > 0.95

    def test_silence_around_a_sound_does_not_count(self, encoders: dict[Modality, Encoder]) -> None:
        """Nor does how loud it is."""
        heard, still = noise(1.0), np.zeros(RATE_HZ)
        sounds = [decode_audio(wav(each), SETTINGS) for each in (heard, np.concatenate([still, 0.1 * heard, still]))]

        plain, padded = encode(encoders[Modality.AUDIO], *sounds)

        assert plain @ padded > 0.995

    def test_one_sample_is_enough(self, encoders: dict[Modality, Encoder]) -> None:
        """A sound of 1/16,000 s has a vector."""
        assert encode(encoders[Modality.AUDIO], decode_audio(wav(np.array([0.5])), SETTINGS)).shape[0] == 1

    def test_no_sample_is_refused(self) -> None:
        """As empty, which is not broken."""
        with pytest.raises(MediaRejected) as caught:
            decode_audio(wav(np.zeros(0)), SETTINGS)

        assert caught.value.reason is Reason.MEDIA_EMPTY

    def test_a_long_sound_is_heard_in_sixteen_places(self, encoders: dict[Modality, Encoder]) -> None:
        """From its first second to its last; up to 48 s it is heard whole."""
        whole = encoders[Modality.AUDIO].prepare(decode_audio(wav(noise(48.0)), SETTINGS))
        long = decode_audio(wav(noise(300.0)), SETTINGS)

        places = encoders[Modality.AUDIO].prepare(long)

        assert len(whole) == 1
        assert [piece.shape[0] for piece in places] == [6 * RATE_HZ] * MAX_PASSAGES
        assert np.array_equal(places[0], long.samples[: 6 * RATE_HZ])
        assert np.array_equal(places[-1], long.samples[-6 * RATE_HZ :])

    def test_what_lies_behind_the_limit_is_not_heard(self) -> None:
        """``media.max_seconds`` of a sound are decoded."""
        assert decode_audio(wav(noise(5.0)), MediaSettings(max_seconds=2)).samples.shape[0] == 2 * RATE_HZ


class TestClips:
    """From one picture to hours."""

    def test_one_picture_is_a_clip(self) -> None:
        """And one vector."""
        frames, sound = decode_video(clip(1), SETTINGS)

        assert (len(frames), sound) == (1, None)

    @pytest.mark.parametrize(("loudness", "heard"), [(0.0, False), (0.0003, False), (0.01, True)])
    def test_a_silent_track_is_none(self, loudness: float, heard: bool) -> None:
        """A muted film has no sound; a whisper, 40 dB below full scale, is one."""
        _, sound = decode_video(clip(2, loudness=loudness), SETTINGS)

        assert (sound is not None) == heard

    def test_a_long_clip_is_looked_at_in_eight_places(self) -> None:
        """Evenly spread over what ``media.max_seconds`` lets in."""
        whole, _ = decode_video(clip(120), SETTINGS)
        half, _ = decode_video(clip(120), MediaSettings(max_seconds=60))

        assert len(whole) == len(half) == SETTINGS.video_frames == 8
        shades = [[float(frame.pixels.mean()) for frame in frames] for frames in (whole, half)]
        assert np.allclose(shades[0], 15 * (np.arange(8) + 0.5), atol=5)
        assert np.allclose(shades[1], 7.5 * (np.arange(8) + 0.5), atol=5)


class TestPictures:
    """From one pixel to fifty million."""

    @pytest.mark.parametrize("size", [(1, 1), (1, 300), (2000, 3)])
    def test_any_size_above_nothing_is_a_picture(
        self, encoders: dict[Modality, Encoder], size: tuple[int, int]
    ) -> None:
        """A pixel, a column, a strip: each of one colour."""
        buffer = io.BytesIO()
        Image.new("RGB", size, "teal").save(buffer, "PNG")

        assert encode(encoders[Modality.IMAGE], decode_image(buffer.getvalue(), SETTINGS)).shape[0] == 1

    def test_a_large_picture_is_reduced(self) -> None:
        """By a whole factor, to a short side of at least 512."""
        buffer = io.BytesIO()
        Image.new("RGB", (5000, 4000), "teal").save(buffer, "PNG")

        assert decode_image(buffer.getvalue(), SETTINGS).pixels.shape == (572, 715, 3)  # by seven
        assert SHORT_SIDE <= 572


class TestTexts:
    """From a letter to a book."""

    @pytest.mark.parametrize("text", ["a", "猫", "1", "🐈"])
    def test_one_character_is_a_text(self, encoders: dict[Modality, Encoder], text: str) -> None:
        """A letter, a digit or a pictograph."""
        assert encode(encoders[Modality.TEXT], TextInput(text=text)).shape[0] == 1

    def test_nothing_to_read_is_refused(self, encoders: dict[Modality, Encoder]) -> None:
        """White space and format characters are no text."""
        with pytest.raises(RejectEvent, match="leave it out"):
            encoders[Modality.TEXT].prepare(TextInput(text=" \u200b\n"))

    def test_a_long_text_is_read_in_sixteen_places(self, encoders: dict[Modality, Encoder]) -> None:
        """Passages of 512 characters, the first and the last among them; up to 512 it is read whole."""
        assert len(encoders[Modality.TEXT].prepare(TextInput(text="x" * 512))) == 1
        book = " ".join(f"word{number}" for number in range(12_000))

        passages = encoders[Modality.TEXT].prepare(TextInput(text=book))

        assert len(passages) == MAX_PASSAGES
        assert max(map(len, passages)) <= 512
        assert (passages[0].split()[0], passages[-1].split()[-1]) == ("word0", "word11999")


class TestMeasures:
    """Readings and places."""

    @pytest.mark.parametrize("moments", [1, 2, 100_000])
    def test_any_number_of_moments_is_a_series(self, encoders: dict[Modality, Encoder], moments: int) -> None:
        """One reading, or as many as an event may hold, which are averaged down to 32."""
        values = np.full((moments, 1), 20.0, np.float32)
        series = SensorInput(channels=("temperature_celsius",), sample_rate_hz=1.0, values=values)

        assert encode(encoders[Modality.SENSOR], series).shape[0] == 1

    def test_a_series_without_a_reading_is_refused(self, encoders: dict[Modality, Encoder]) -> None:
        """All of it missing is nothing measured."""
        values = np.full((9, 1), np.nan, np.float32)
        with pytest.raises(RejectEvent, match="leave the series out"):
            encoders[Modality.SENSOR].prepare(
                SensorInput(channels=("temperature_celsius",), sample_rate_hz=1.0, values=values)
            )

    def test_poles_and_the_date_line_are_places(self, encoders: dict[Modality, Encoder]) -> None:
        """Both sides of the line are one place, and so is a pole at every longitude."""
        degrees = [(90.0, 0.0), (90.0, 120.0), (10.0, 180.0), (10.0, -180.0), (-90.0, 0.0)]

        vectors = encode(encoders[Modality.LOCATION], *[LocationInput(latitude=a, longitude=b) for a, b in degrees])

        assert vectors[0] @ vectors[1] > 0.999
        assert vectors[2] @ vectors[3] > 0.999
