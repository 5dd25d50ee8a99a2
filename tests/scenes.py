"""An article on three topics and a clip of three scenes: what summaries are tried on."""

import io
from typing import Final

import av
import numpy as np

TOPICS: Final = {
    "harbour": (
        "Fishing boats come home to the harbour with nets full of fish.",
        "The fish is sold by auction on the quay of the harbour.",
        "Gulls follow the fishing boats and steal fish from the nets.",
        "At night the boats of the harbour lie still at the quay.",
    ),
    "bakery": (
        "Dr. Lee bakes bread in the old bakery, e.g. rye bread with flour.",
        "The bakery sells bread and warm rolls of wheat flour.",
        "Children buy warm rolls at the bakery before school.",
        "By noon the bread of the bakery is sold and the flour swept.",
    ),
    "concert": (
        "The orchestra plays a concert with violins and a piano.",
        "Violins and cellos of the orchestra tune before the concert.",
        "The pianist plays a slow sonata at the concert on the piano.",
        "After the concert the orchestra is applauded for minutes.",
    ),
}

ARTICLE: Final = " ".join(sentence for sentences in TOPICS.values() for sentence in sentences)

SCENE_S: Final = 4.0
SCENES: Final = 3
_RATE_HZ: Final = 5


def topic_of(sentence: str) -> str:
    """The topic that a sentence, or several, of the article belongs to."""
    (topic,) = {name for name, sentences in TOPICS.items() if any(each in sentence for each in sentences)}
    return topic


def clip_of_scenes(pictures: list[np.ndarray] | None = None, sound: np.ndarray | None = None) -> bytes:
    """A clip that shows each picture for four seconds, without loss; by default three plain colours.

    Args:
        pictures: uint8 RGB, all of one even size.
        sound: float32 mono samples at 16 kHz, beside the pictures.
    """
    if pictures is None:
        colours = ((220, 30, 30), (30, 200, 30), (30, 30, 220))
        pictures = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=_RATE_HZ)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        track = None if sound is None else container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for picture in pictures:
            for _ in range(round(SCENE_S * _RATE_HZ)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if track is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray((sound[None] * 32_000).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux(track.encode(frame))
            container.mux(track.encode())
    return buffer.getvalue()


def scene_at(time_s: float) -> int:
    """The scene that is shown then, from 0."""
    return int(time_s // SCENE_S)
