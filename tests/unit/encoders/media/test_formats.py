"""Every common format, with a real file that the test makes: what is in it comes out, whatever carried it."""

import io
import struct
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from encoders.media.audio import HIGHEST_RATE_HZ, decode_audio
from encoders.media.heif import is_heic, reads_heic
from encoders.media.image import decode_image
from encoders.media.video import decode_video
from tests.heic import heic, hevc

SETTINGS = MediaSettings(video_frames=4)
RED, BLUE = (220, 30, 20), (20, 30, 220)
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
PICTURES = (*WITH_EXIF, "GIF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "PCX", "SGI", "DDS", "QOI")
RED_AND_BLUE_BLOCKS = [[(80, 90, 240), (40, 240, 110)]]  # Y, Cb, Cr


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """How a second of a tone is written."""

    fmt: str
    codec: str
    rate_hz: int = 44_100
    layout: str = "stereo"
    loss: float = 0.1

    def __str__(self) -> str:
        return f"{self.fmt}-{self.codec}-{self.rate_hz}-{self.layout}"


SOUNDS = (
    *(Sound(fmt="wav", codec="pcm_s16le", rate_hz=rate, layout="mono") for rate in (8_000, 11_025, 22_050, 192_000)),
    Sound(fmt="wav", codec="pcm_s16le"),
    Sound(fmt="wav", codec="pcm_s16le", rate_hz=48_000, layout="5.1"),
    Sound(fmt="wav", codec="pcm_u8"),
    Sound(fmt="wav", codec="pcm_s24le", rate_hz=96_000),
    Sound(fmt="wav", codec="pcm_f32le"),
    Sound(fmt="wav", codec="pcm_mulaw", rate_hz=8_000, layout="mono"),
    Sound(fmt="wav", codec="adpcm_ima_wav"),
    Sound(fmt="w64", codec="pcm_s16le"),
    Sound(fmt="flac", codec="flac"),
    Sound(fmt="flac", codec="flac", rate_hz=96_000, layout="mono"),
    Sound(fmt="mp3", codec="libmp3lame"),
    Sound(fmt="mp3", codec="libmp3lame", rate_hz=16_000, layout="mono"),
    Sound(fmt="ogg", codec="libopus", rate_hz=48_000),
    Sound(fmt="opus", codec="libopus", rate_hz=48_000, layout="mono"),
    Sound(fmt="ogg", codec="vorbis", loss=0.3),
    Sound(fmt="ogg", codec="flac"),
    Sound(fmt="ipod", codec="aac"),
    Sound(fmt="ipod", codec="aac", rate_hz=16_000, layout="mono"),
    Sound(fmt="ipod", codec="alac"),
    Sound(fmt="mp4", codec="aac", rate_hz=48_000),
    Sound(fmt="adts", codec="aac"),
    Sound(fmt="matroska", codec="aac"),
    Sound(fmt="webm", codec="libopus", rate_hz=48_000),
    Sound(fmt="aiff", codec="pcm_s16be"),
    Sound(fmt="caf", codec="pcm_s16le"),
    Sound(fmt="au", codec="pcm_s16be"),
    Sound(fmt="asf", codec="wmav2"),
    Sound(fmt="ac3", codec="ac3", rate_hz=48_000),
    Sound(fmt="wv", codec="wavpack"),
    Sound(fmt="3gp", codec="libopencore_amrnb", rate_hz=8_000, layout="mono", loss=0.3),
)
CLIPS = (
    ("mp4", "libx264", "aac"),
    ("mp4", "mpeg4", "aac"),
    ("mp4", "libsvtav1", "aac"),
    ("mp4", "libvpx-vp9", "libopus"),
    ("webm", "libvpx", "libopus"),
    ("webm", "libvpx-vp9", "libopus"),
    ("webm", "libsvtav1", "libopus"),
    ("matroska", "libx264", "aac"),
    ("matroska", "mpeg4", "flac"),
    ("matroska", "libvpx-vp9", "libopus"),
    ("matroska", "ffv1", "pcm_s16le"),
    ("mov", "libx264", "aac"),
    ("mov", "mpeg4", "alac"),
    ("mov", "mjpeg", "pcm_s16le"),
    ("mov", "prores", None),
    ("avi", "mpeg4", "libmp3lame"),
    ("avi", "mjpeg", None),
    ("mpegts", "libx264", "aac"),
    ("mpegts", "mpeg2video", "mp2"),
    ("flv", "libx264", "aac"),
    ("asf", "wmv2", None),
    ("gif", "gif", None),
)
BIT_RATES = {"libopencore_amrnb": 12_200, "wmav2": 128_000}  # these have no default
PIXELS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le", "gif": "rgb8"}


def two_halves() -> Image.Image:
    """A 64 × 32 picture, red on the left and blue on the right."""
    image = Image.new("RGB", (64, 32), BLUE)
    image.paste(RED, (0, 0, 32, 32))
    return image


def written(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """The picture as a file of that format."""
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def is_red_then_blue(pixels: NDArray[np.uint8]) -> bool:
    """Whether the left half is red and the right half blue."""
    quarter = pixels.shape[1] // 4
    left, right = pixels[:, :quarter].mean(axis=(0, 1)), pixels[:, -quarter:].mean(axis=(0, 1))
    return bool(left[0] > 180 and left[2] < 70 and right[2] > 180 and right[0] < 70)


def sound_file(sound: Sound, seconds: float = 1.0) -> bytes:
    """A 440 Hz tone of amplitude 0.5 in every channel."""
    times = np.arange(int(seconds * sound.rate_hz)) / sound.rate_hz
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=sound.fmt) as container:
        stream = container.add_stream(sound.codec, rate=sound.rate_hz, layout=sound.layout)
        stream.codec_context.options = {"strict": "experimental"}
        if sound.codec in BIT_RATES:
            stream.codec_context.bit_rate = BIT_RATES[sound.codec]
        resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=sound.rate_hz)
        tone = np.tile(0.5 * np.sin(2 * np.pi * 440 * times).astype(np.float32), (stream.layout.nb_channels, 1))
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts = sound.rate_hz, 0
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def clip_file(fmt: str, codec: str, track: str | None, *, picture: Image.Image | None = None) -> bytes:
    """Three seconds of 64 × 32 pictures, ten a second, that brighten from 0 to 250; or of one picture."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=fmt) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, PIXELS.get(codec, "yuv420p")
        sound = container.add_stream(track, rate=48_000, layout="stereo") if track else None
        for number in range(30):
            shade = np.full((32, 64, 3), round(250 * number / 29), np.uint8)
            frame = av.VideoFrame.from_ndarray(shade if picture is None else np.asarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * 48_000) / 48_000).astype(np.float32)
            resampler = av.AudioResampler(format=sound.format, layout=sound.layout, rate=48_000)
            heard = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = 48_000, 0
            for piece in [*resampler.resample(heard), *resampler.resample(None)]:
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
    return buffer.getvalue()


class TestPictures:
    """Formats, and what a file says of its picture."""

    @pytest.mark.parametrize("fmt", PICTURES)
    def test_every_format_is_decoded(self, fmt: str) -> None:
        """The left half comes out red and the right half blue."""
        options = {"quality": 95} if fmt in {"JPEG", "WEBP", "AVIF"} else {}
        assert is_red_then_blue(decode_image(written(two_halves(), fmt, **options), SETTINGS).pixels)

    @pytest.mark.parametrize("fmt", WITH_EXIF)
    @pytest.mark.parametrize("orientation", [3, 6, 8])
    def test_the_camera_s_orientation_is_honoured(self, fmt: str, orientation: int) -> None:
        """A picture taken head down or on either side is shown upright, in every format that can say so."""
        turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = two_halves().transpose(turned[orientation])

        pixels = decode_image(written(stored, fmt, exif=exif), SETTINGS).pixels

        assert pixels.shape == (32, 64, 3)
        assert is_red_then_blue(pixels)

    @pytest.mark.parametrize("fmt", WITH_EXIF)
    def test_the_colour_profile_is_honoured(self, fmt: str) -> None:
        """In a space whose red is sRGB's blue, and the other way round, the halves change places."""
        profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
        profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"

        pixels = decode_image(written(two_halves(), fmt, icc_profile=bytes(profile)), SETTINGS).pixels

        assert is_red_then_blue(pixels[:, ::-1])

    @pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
    def test_the_first_of_several_pictures_counts(self, fmt: str) -> None:
        """Animations and pages are their first picture."""
        others = [Image.new("RGB", (64, 32), colour) for colour in ("green", "black")]

        data = written(two_halves(), fmt, save_all=True, append_images=others, duration=100)

        assert is_red_then_blue(decode_image(data, SETTINGS).pixels)

    def test_a_picture_of_one_pixel_is_a_picture(self) -> None:
        """The shortest there is."""
        assert decode_image(written(Image.new("RGB", (1, 1), RED), "PNG"), SETTINGS).pixels.tolist() == [[list(RED)]]


class TestHeic:
    """Telephones' own format, through an extra that need not be there."""

    @pytest.mark.parametrize("turns", range(4))
    def test_it_is_decoded_upright(self, turns: int) -> None:
        """The container's own rotation is applied."""
        pytest.importorskip("pi_heif", reason="the extra 'heic' is not installed")

        pixels = decode_image(heic(RED_AND_BLUE_BLOCKS, turns=turns), SETTINGS).pixels

        assert pixels.shape == ((32, 64, 3) if turns % 2 == 0 else (64, 32, 3))
        assert is_red_then_blue(np.rot90(pixels, -turns))

    def test_its_size_is_checked_before_it_is_decoded(self) -> None:
        """Like that of any other picture."""
        pytest.importorskip("pi_heif", reason="the extra 'heic' is not installed")

        with pytest.raises(MediaRejected) as caught:
            decode_image(heic(RED_AND_BLUE_BLOCKS), MediaSettings(max_pixels=1024))

        assert caught.value.reason is Reason.MEDIA_TOO_LARGE

    def test_a_broken_one_is_refused(self) -> None:
        """Whatever is wrong inside, the answer is a picture or a refusal."""
        pytest.importorskip("pi_heif", reason="the extra 'heic' is not installed")
        whole, random = heic(RED_AND_BLUE_BLOCKS), np.random.default_rng(5)
        for _ in range(60):
            data = bytearray(whole)
            for place in random.integers(24, len(data), 4):
                data[place] = random.integers(0, 256)
            try:
                assert decode_image(bytes(data), SETTINGS).pixels.shape[2] == 3
            except MediaRejected as error:
                assert error.message

    def test_without_the_extra_it_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The message names what to install, and what to send instead."""
        monkeypatch.setitem(sys.modules, "pi_heif", None)  # what an import of a package that is not there finds
        reads_heic.cache_clear()
        try:
            with pytest.raises(MediaRejected, match=r"crosscurrent\[heic\].*JPEG") as caught:
                decode_image(heic(RED_AND_BLUE_BLOCKS), SETTINGS, field="modalities.image.data")
        finally:
            reads_heic.cache_clear()

        assert (caught.value.reason, caught.value.field) == (Reason.MEDIA_UNDECODABLE, "modalities.image.data")

    def test_it_is_told_from_its_relatives(self) -> None:
        """AVIF and MP4 start with the same box and need no extra."""
        assert is_heic(heic(RED_AND_BLUE_BLOCKS))
        assert is_heic(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100))
        assert not is_heic(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(100))
        assert not is_heic(written(two_halves(), "AVIF"))
        assert not is_heic(clip_file("mp4", "mpeg4", None))
        assert not is_heic(b"")


class TestSounds:
    """Containers, codecs, rates and channels."""

    @pytest.mark.parametrize("sound", SOUNDS, ids=str)
    def test_every_format_is_decoded(self, sound: Sound) -> None:
        """A second of a tone comes out as a second of the same tone, as loud as it was."""
        heard = decode_audio(sound_file(sound), SETTINGS)

        assert heard.samples.dtype == np.float32
        assert heard.sample_rate_hz == min(sound.rate_hz, HIGHEST_RATE_HZ)
        assert abs(heard.samples.shape[0] / heard.sample_rate_hz - 1.0) < 0.15
        middle = heard.samples[heard.sample_rate_hz // 4 : 3 * heard.sample_rate_hz // 4]
        assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=sound.loss)
        peak_hz = np.abs(np.fft.rfft(heard.samples)).argmax() * heard.sample_rate_hz / heard.samples.shape[0]
        assert abs(peak_hz - 440) < 3


class TestClips:
    """Containers and codecs of pictures with a sound."""

    @pytest.mark.parametrize(("fmt", "codec", "track"), CLIPS, ids=["-".join(map(str, clip)) for clip in CLIPS])
    def test_every_format_is_decoded(self, fmt: str, codec: str, track: str | None) -> None:
        """Four pictures of a clip that brightens steadily are its four middles, in order, with the tone beside them."""
        frames, sound = decode_video(clip_file(fmt, codec, track), SETTINGS)

        assert [frame.pixels.shape for frame in frames] == [(32, 64, 3)] * 4
        assert np.allclose([float(frame.pixels.mean()) for frame in frames], [31, 94, 156, 219], atol=24)
        assert np.allclose([frame.time_s or 0 for frame in frames], [0.375, 1.125, 1.875, 2.625], atol=0.2)
        assert (sound is None) == (track is None)
        if sound is not None:
            assert abs(sound.samples.shape[0] / sound.sample_rate_hz - 3) < 0.2
            peak_hz = np.abs(np.fft.rfft(sound.samples)).argmax() * sound.sample_rate_hz / sound.samples.shape[0]
            assert abs(peak_hz - 440) < 3

    def test_h265_is_decoded(self) -> None:
        """Four pictures, written without an encoder."""
        frames, sound = decode_video(hevc([[[(shade, 128, 128)] * 2] for shade in (31, 94, 156, 219)]), SETTINGS)

        assert sound is None
        assert np.allclose([frame.pixels.mean() for frame in frames], [17, 91, 163, 236], atol=3)  # video's range

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_a_clip_filmed_sideways_is_upright(self, degrees: int) -> None:
        """Telephones write down how they were held, as a matrix in the track's header."""
        stored = two_halves().rotate(degrees, expand=True).resize((64, 32))  # as the sensor saw it
        frames, _ = decode_video(turned(clip_file("mp4", "libx264", None, picture=stored), degrees), SETTINGS)

        assert frames[0].pixels.shape == ((32, 64, 3) if degrees == 180 else (64, 32, 3))
        assert all(is_red_then_blue(frame.pixels) for frame in frames)


def turned(mp4: bytes, degrees: int) -> bytes:
    """The clip with the display matrix of a camera held so: to be turned clockwise by as many degrees."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = mp4.index(b"tkhd")
    place = mp4.index(upright, header)
    matrix = struct.pack(">9i", cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 0x40000000)
    return mp4[:place] + matrix + mp4[place + len(upright) :]
