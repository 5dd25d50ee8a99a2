"""Sounds and clips: containers made here by FFmpeg's own encoders, and what strangers send instead."""

import io
import struct
import wave
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from encoders.media import containers
from encoders.media.audio import HIGHEST_RATE_HZ, decode_audio
from encoders.media.video import SEEK_FROM_S, decode_video

SETTINGS = MediaSettings(video_frames=4)


def tone(seconds: float, rate_hz: int = 16_000, channels: int = 1, loudness: float = 0.5) -> np.ndarray:
    """Return a 440 Hz tone, float32 of shape (channels, samples); further channels are silent."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    sound = np.zeros((channels, times.shape[0]), np.float32)
    sound[0] = loudness * np.sin(2 * np.pi * 440 * times)
    return sound


def sound_file(fmt: str, codec: str, sound: np.ndarray, rate_hz: int = 16_000) -> bytes:
    """Return the sound in that container."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=fmt) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="stereo" if sound.shape[0] == 2 else "mono")
        resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=rate_hz)
        if sound.shape[1]:
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout=stream.layout.name)
            frame.sample_rate = rate_hz
            frame.pts = 0
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def clip_file(
    seconds: float,
    *,
    fmt: str = "mp4",
    codec: str = "mpeg4",
    sound: bool = False,
    rate: int = 10,
    start_s: int = 0,
) -> bytes:
    """Return a 64 × 48 clip whose brightness grows from 0 to 250 over its length; its time stamps begin at a start."""
    buffer = io.BytesIO()
    total = int(seconds * rate)
    with av.open(buffer, "w", format=fmt) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        track = container.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for number in range(total):
            shade = np.full((48, 64, 3), round(250 * number / max(total - 1, 1)), np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = start_s * rate + number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            frame = av.AudioFrame.from_ndarray(tone(seconds), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return buffer.getvalue()


def audio_refusal(data: bytes, settings: MediaSettings = SETTINGS) -> MediaRejected:
    """Return the refusal that these bytes meet as a sound."""
    with pytest.raises(MediaRejected) as caught:
        decode_audio(data, settings, field="modalities.audio.uri")
    assert caught.value.field == "modalities.audio.uri"
    return caught.value


def video_refusal(data: bytes, settings: MediaSettings = SETTINGS) -> MediaRejected:
    """Return the refusal that these bytes meet as a clip."""
    with pytest.raises(MediaRejected) as caught:
        decode_video(data, settings, field="modalities.video.uri")
    assert caught.value.field == "modalities.video.uri"
    return caught.value


def test_averages_channels():
    """Two channels, one of them silent, become one of half the loudness."""
    sound = decode_audio(sound_file("wav", "pcm_s16le", tone(0.5, channels=2)), SETTINGS)

    assert abs(np.abs(sound.samples).max() - 0.25) < 0.02


@pytest.mark.parametrize("channels", [1, 8, 9, 40])
def test_averages_any_number_of_channels(channels: int):
    """Also more than a player has loudspeakers: the header's number alone is another."""
    whole = bytearray(sound_file("wav", "pcm_s16le", tone(0.1)))
    whole[22:24], whole[32:34] = struct.pack("<H", channels), struct.pack("<H", 2 * channels)
    heard = decode_audio(bytes(whole), SETTINGS).samples
    with wave.open(io.BytesIO(sound_file("wav", "pcm_s16le", tone(0.1)))) as file:
        sent = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    wanted = sent[: len(sent) // channels * channels].reshape(-1, channels).mean(axis=1) / 32768
    assert np.allclose(heard, wanted, atol=1e-4)


@pytest.mark.parametrize("rate_hz", [1_000_000, 2**27, 2**31 - 1])
def test_refuses_a_rate_that_no_sound_has(rate_hz: int):
    """Bringing it down would take seconds and gigabytes."""
    whole = bytearray(sound_file("wav", "pcm_s16le", tone(0.1)))
    whole[24:28] = struct.pack("<I", rate_hz)
    assert audio_refusal(bytes(whole)).reason is Reason.MEDIA_UNDECODABLE


def test_brings_high_rates_down():
    """192 kHz is brought to what an encoder can hear, at the right pitch."""
    sound = decode_audio(sound_file("wav", "pcm_s16le", tone(0.5, 192_000), 192_000), SETTINGS)

    assert sound.sample_rate_hz == HIGHEST_RATE_HZ
    assert abs(sound.samples.shape[0] - 24_000) < 100


def test_decodes_no_more_than_the_limit():
    """Ten seconds under a limit of two are the first two."""
    sound = decode_audio(sound_file("wav", "pcm_s16le", tone(10.0)), MediaSettings(max_seconds=2))

    assert sound.samples.shape[0] == 32_000


def test_sanitises_floats():
    """NaN and infinities in a file of floats do not get into a vector."""
    wild = tone(0.2)
    wild[0, ::7], wild[0, ::11], wild[0, ::13] = np.nan, np.inf, -30.0
    sound = decode_audio(sound_file("wav", "pcm_f32le", wild), SETTINGS)

    assert np.isfinite(sound.samples).all()
    assert np.abs(sound.samples).max() <= 1.0


def test_refuses_zero_samples():
    """A well-formed file that holds no sample is empty, not broken."""
    assert audio_refusal(sound_file("wav", "pcm_s16le", tone(0))).reason is Reason.MEDIA_EMPTY


def test_refuses_a_sound_without_a_track():
    """A silent film is no sound."""
    error = audio_refusal(clip_file(1))

    assert error.reason is Reason.MEDIA_EMPTY
    assert "audio track" in error.message


@pytest.mark.parametrize("data", [b"RIFF\x24\x00\x00\x00WAVEfmt ", b"OggS" + b"\x00" * 200, b"no sound at all" * 50])
def test_refuses_broken_sounds(data: bytes):
    """What no decoder can read is refused with a way out."""
    error = audio_refusal(data)

    assert error.reason in {Reason.MEDIA_UNDECODABLE, Reason.MEDIA_EMPTY}
    assert error.message


def test_refuses_no_bytes_and_too_many():
    """No bytes are empty, too many are too large."""
    assert audio_refusal(b"").reason is Reason.MEDIA_EMPTY
    assert audio_refusal(b"x" * 5000, MediaSettings(max_bytes=4096)).reason is Reason.MEDIA_TOO_LARGE
    assert video_refusal(b"").reason is Reason.MEDIA_EMPTY


def test_takes_what_there_is_of_a_sound_cut_short():
    """A download that broke off in the middle counts up to there."""
    data = sound_file("ogg", "libopus", tone(4.0, 48_000), 48_000)
    sound = decode_audio(data[: len(data) // 2], SETTINGS)

    assert 0.5 < sound.samples.shape[0] / sound.sample_rate_hz < 3.5


def test_samples_a_long_clip_by_seeking():
    """A clip beyond the limit of one pass is sampled just as evenly."""
    frames, _ = decode_video(clip_file(SEEK_FROM_S * 2, codec="libx264", rate=5), SETTINGS)

    assert np.allclose([float(f.pixels.mean()) for f in frames], [31, 94, 156, 219], atol=12)
    assert np.allclose([f.time_s or 0 for f in frames], [5, 15, 25, 35], atol=0.3)


@pytest.mark.parametrize("seconds", [2, SEEK_FROM_S * 2])
def test_times_count_from_the_first_picture(seconds: float):
    """A broadcast's time stamps begin anywhere: what a player shows begins at 0."""
    frames, _ = decode_video(clip_file(seconds, fmt="mpegts", codec="mpeg2video", rate=25, start_s=3600), SETTINGS)

    assert np.allclose([f.time_s or 0 for f in frames], np.array([0.125, 0.375, 0.625, 0.875]) * seconds, atol=0.6)


def test_samples_the_allowed_part_of_a_long_clip():
    """Pictures come from the part within the limit of seconds."""
    frames, _ = decode_video(clip_file(60, rate=2), MediaSettings(max_seconds=30, video_frames=2))

    assert np.allclose([float(f.pixels.mean()) for f in frames], [31, 94], atol=12)


def test_a_clip_of_few_pictures_gives_those():
    """Two pictures are two, though four were asked for."""
    assert len(decode_video(clip_file(0.2), SETTINGS)[0]) == 2


def test_a_clip_brings_its_sound():
    """The track beside the pictures is decoded with them."""
    frames, sound = decode_video(clip_file(2, sound=True), SETTINGS)

    assert len(frames) == 4
    assert sound is not None
    assert abs(sound.samples.shape[0] / sound.sample_rate_hz - 2) < 0.2


def test_refuses_a_clip_without_pictures():
    """A video file that holds a track and no picture, and one that has no track at all, are empty."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()

    assert video_refusal(buffer.getvalue()).reason is Reason.MEDIA_EMPTY
    assert video_refusal(sound_file("wav", "pcm_s16le", tone(0.3))).reason is Reason.MEDIA_EMPTY


def test_refuses_pictures_above_the_limit():
    """The size in the header of a clip is checked like that of a picture."""
    error = video_refusal(clip_file(1), MediaSettings(max_pixels=1024))

    assert error.reason is Reason.MEDIA_TOO_LARGE
    assert "64 × 48" in error.message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_clip_cut_short_is_served_or_refused(share: float):
    """A clip that breaks off never does worse than a refusal."""
    data = clip_file(3, fmt="matroska")
    try:
        frames, _ = decode_video(data[: int(len(data) * share)], SETTINGS)
        assert frames
    except MediaRejected as error:
        assert error.reason in {Reason.MEDIA_UNDECODABLE, Reason.MEDIA_EMPTY}


def test_random_damage_never_escapes():
    """Whatever is wrong inside, the answer is media or a refusal."""
    random = np.random.default_rng(3)
    clip, sound = clip_file(1, sound=True), sound_file("ogg", "libopus", tone(0.5, 48_000), 48_000)
    for _ in range(30):
        for start, decode in ((clip, decode_video), (sound, decode_audio)):
            data = bytearray(start)
            for place in random.integers(0, len(data), 12):
                data[place] = random.integers(0, 256)
            try:
                decode(bytes(data), SETTINGS)
            except MediaRejected as error:
                assert error.message


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A sound on this machine that no event may reach."""
    path = tmp_path / "secret.ts"
    path.write_bytes(sound_file("mpegts", "aac", tone(1.0, 44_100), 44_100))
    return path


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A web server on loopback that notes every request."""
    seen: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Noting)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def playlists(target: str) -> list[bytes]:
    """Return playlists of several kinds that order the reader to open the target."""
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n"
    return [
        hls.encode(),
        b"\xef\xbb\xbf\n" + hls.encode(),
        f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{target}</BaseURL></MPD>'.encode(),
    ]


def test_refuses_playlists_that_name_files(secret: Path, listener: tuple[str, list[str]]):
    """A playlist sent as a sound or a clip opens no file and no address: it is refused for what it is."""
    address, seen = listener
    for target in (str(secret), secret.as_uri(), f"{address}/x.ts"):
        for data in playlists(target):
            for error in (audio_refusal(data), video_refusal(data)):
                assert error.reason is Reason.MEDIA_UNDECODABLE
                assert "playlist" in error.message
    assert seen == []


def test_the_second_wall_refuses_the_format(secret: Path):
    """Where a playlist passes unrecognised, its format is not among those that are read, whatever could be opened."""
    breached = containers.walls() | {"protocol_whitelist": "file"}
    hls = playlists(secret.as_uri())[0]

    with pytest.raises(av.FFmpegError), av.open(io.BytesIO(hls), format="hls", options=breached) as container:
        list(container.demux())


def test_the_third_wall_opens_nothing(secret: Path, listener: tuple[str, list[str]]):
    """Were playlists read at all, FFmpeg would have no protocol to open what they name; without the wall it would."""
    address, seen = listener
    hls_file, hls_web = playlists(secret.as_uri())[0], playlists(f"{address}/x.ts")[0]
    admitted = containers.walls() | {"format_whitelist": "hls,mpegts"}
    for data in (hls_file, hls_web):
        with pytest.raises(av.FFmpegError), av.open(io.BytesIO(data), format="hls", options=admitted) as container:
            list(container.demux())
    assert seen == []

    breached = admitted | {"protocol_whitelist": "file,http,tcp"}
    with av.open(io.BytesIO(hls_file), format="hls", options=breached) as container:
        assert container.streams.audio
    with pytest.raises(av.FFmpegError), av.open(io.BytesIO(hls_web), format="hls", options=breached) as container:
        list(container.demux())
    assert seen
