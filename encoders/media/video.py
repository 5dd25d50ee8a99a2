"""Clips: bytes to pictures sampled evenly in time, and the sound beside them."""

from collections.abc import Iterator
from typing import Any, Final

import av
import numpy as np

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from encoders.base import AudioInput, ImageInput
from encoders.media.audio import read_track
from encoders.media.containers import open_container
from encoders.media.image import SHORT_SIDE
from encoders.media.motion import attend_to_motion

SEEK_FROM_S: Final = 20.0
"""Clips shorter than this are decoded in one pass: a search would decode the same group of pictures many times."""

SILENCE: Final = 1e-3
"""A track that is never louder (60 dB below full scale) counts as none: screen recordings and muted films have one, and
a vector of silence would speak against the clip in every search."""

_FRAMES_PER_SEEK: Final = 600  # between a key frame and the wanted picture; beyond that the last one decoded serves
_PICTURES_PER_PASS: Final = 72_000  # 20 minutes at 60 a second: bounds clips whose time stamps lie


def decode_video(
    data: bytes, settings: MediaSettings, *, field: str = ""
) -> tuple[list[ImageInput], AudioInput | None]:
    """Decode a clip: ``settings.video_frames`` pictures from the middles of as many equal spans, and its sound.

    Where the container can be searched and says how long it is, only the neighbourhoods of the wanted pictures are
    decoded; otherwise the clip is decoded once from its start. Both end at ``settings.max_seconds``. Where something
    moves before a still ground, some of the pictures show it nearer or alone (see ``media.motion``).

    Returns:
        Pictures in order of time, each with its ``time_s`` (fewer than asked for if the clip has fewer), and its
        sound, None without one that can be heard.

    Raises:
        MediaRejected: If it is empty, too large in bytes or pixels, has no pictures, or is broken.
    """
    frames: list[ImageInput] = []
    with open_container(data, settings, what="clip", field=field) as container:
        stream = _video_stream(container, settings, field)
        if (length_s := _length_s(container, stream)) >= SEEK_FROM_S:
            frames = _sample_by_seeking(container, stream, min(length_s, settings.max_seconds), settings)
    if not frames:
        frames = _sample_in_one_pass(data, settings, field)
    if not frames:
        raise MediaRejected(Reason.MEDIA_EMPTY, "the clip has no pictures", field=field)
    return attend_to_motion(frames), _sound(data, settings, field)


def _video_stream(container: Any, settings: MediaSettings, field: str) -> Any:
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise MediaRejected(Reason.MEDIA_EMPTY, "the file has no video track", field=field)
    stream = streams[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > settings.max_pixels:
        message = f"the clip has {width} × {height} pixels, more than media.max_pixels ({settings.max_pixels})"
        raise MediaRejected(Reason.MEDIA_TOO_LARGE, message, field=field)
    return stream


def _length_s(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / float(av.time_base)


def _sample_by_seeking(container: Any, stream: Any, length_s: float, settings: MediaSettings) -> list[ImageInput]:
    """Decode one picture in the middle of each span; empty when the container turns out not to be searchable."""
    start_s = _start_s(stream)
    span_s = length_s / settings.video_frames
    pictures: list[ImageInput] = []
    seen: set[int] = set()
    try:
        for number in range(settings.video_frames):
            frame = _frame_at(container, stream, start_s + (number + 0.5) * span_s)
            if frame is not None and frame.pts not in seen and frame.width * frame.height <= settings.max_pixels:
                seen.add(frame.pts)
                pictures.append(_to_picture(frame, start_s))
    except av.FFmpegError:
        return pictures  # what could be decoded; nothing sends the caller to the one-pass way
    return pictures


def _start_s(stream: Any) -> float:
    """Time stamp of the first picture: broadcasts begin at any hour."""
    return float((stream.start_time or 0) * stream.time_base)


def _frame_at(container: Any, stream: Any, wanted_s: float) -> Any:
    container.seek(int(wanted_s / stream.time_base), stream=stream, backward=True)
    frame = None
    for number, frame in enumerate(container.decode(stream)):
        if frame.time is None or frame.time >= wanted_s or number >= _FRAMES_PER_SEEK:
            break
    return frame


def _sample_in_one_pass(data: bytes, settings: MediaSettings, field: str) -> list[ImageInput]:
    """Count the pictures without decoding them, then decode from the start and keep the middle of each span."""
    with open_container(data, settings, what="clip", field=field) as container:
        total = _count_pictures(container, _video_stream(container, settings, field), settings)
    if not total:
        return []
    wanted = {int((number + 0.5) * total / settings.video_frames) for number in range(settings.video_frames)}
    pictures: list[ImageInput] = []
    last = None
    with open_container(data, settings, what="clip", field=field) as container:
        stream = _video_stream(container, settings, field)
        start_s = _start_s(stream)
        for number, frame in enumerate(_frames(container, stream, settings, stop_after=max(wanted))):
            last = frame
            if number in wanted:
                pictures.append(_to_picture(frame, start_s))
    return pictures or ([] if last is None else [_to_picture(last, start_s)])


def _count_pictures(container: Any, stream: Any, settings: MediaSettings) -> int:
    total = 0
    until_s = _start_s(stream) + settings.max_seconds
    for packet in container.demux(stream):
        if packet.size and (packet.pts is None or packet.pts * packet.time_base <= until_s):
            total += 1
        if total >= _PICTURES_PER_PASS:
            break
    return total


def _frames(container: Any, stream: Any, settings: MediaSettings, *, stop_after: int) -> Iterator[Any]:
    """Yield decoded pictures up to the limits; a clip that breaks off after some pictures ends there."""
    number = 0
    try:
        for frame in container.decode(stream):
            if frame.width * frame.height > settings.max_pixels or number > stop_after:
                return
            yield frame
            number += 1
    except av.FFmpegError:
        if not number:
            raise


def _to_picture(frame: Any, start_s: float) -> ImageInput:
    factor = max(1, min(frame.width, frame.height) // SHORT_SIDE)
    small = frame.reformat(
        width=frame.width // factor, height=frame.height // factor, format="rgb24", interpolation="AREA"
    )
    turns = round(getattr(frame, "rotation", 0) / 90)  # telephones film sideways and write down by how much
    time_s = None if frame.time is None else max(0.0, float(frame.time) - start_s)
    return ImageInput(pixels=np.ascontiguousarray(np.rot90(small.to_ndarray(), turns)), time_s=time_s)


def _sound(data: bytes, settings: MediaSettings, field: str) -> AudioInput | None:
    with open_container(data, settings, what="clip", field=field) as container:
        if not container.streams.audio:
            return None
        try:
            sound = read_track(container, settings.max_seconds)
        except (av.FFmpegError, ValueError):
            return None  # the pictures are fine: a clip with a broken sound is a silent clip
    return sound if sound is not None and np.abs(sound.samples).max() > SILENCE else None
