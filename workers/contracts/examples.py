"""One good example of each event: shown in the AsyncAPI document, and held to the models and schemas by a test."""

from typing import Any

UPSERT: dict[str, Any] = {
    "type": "content.upsert",
    "item_id": "kanagawa-0042",
    "occurred_at": "2026-05-01T12:00:00Z",
    "modalities": {
        "text": {"text": "港の朝、船が帰る", "language": "ja"},
        "image": {"uri": "https://media.example.org/harbour.jpg"},
        "audio": {"data": "UklGRiQAAABXQVZFZm10IA==", "media_type": "audio/wav"},
        "location": {"latitude": 35.66, "longitude": 139.75},
        "sensor": {
            "channels": ["temperature_celsius", "relative_humidity", "pressure_hpa"],
            "sample_rate_hz": 0.1,
            "values": [[18.2, 0.61, 1013.2], [18.3, None, 1013.1]],
        },
    },
    "attributes": {"category": "places", "year": 2024, "price": 9.5, "tags": ["sea", "morning"]},
}

DELETE: dict[str, Any] = {
    "type": "content.delete",
    "item_id": "kanagawa-0042",
    "occurred_at": "2026-05-02T12:00:00Z",
}

INTERACTION: dict[str, Any] = {
    "type": "interaction",
    "event_id": "5b0e4d2c-rate-1",
    "user_id": "mika",
    "item_id": "kanagawa-0042",
    "action": "rate",
    "value": 4.5,
    "occurred_at": "2026-05-01T12:03:00Z",
    "query_id": "q-17",
    "session_id": "s-3",
}

FORGET: dict[str, Any] = {"type": "user.forget", "user_id": "mika", "occurred_at": "2026-06-01T00:00:00Z"}

QUERY: dict[str, Any] = {
    "query_id": "q-17",
    "kind": "search",
    "user_id": "mika",
    "parts": [
        {"modality": "text", "text": "猫", "weight": 1.0},
        {"modality": "image", "uri": "https://media.example.org/dog.png", "weight": -0.4},
    ],
    "k": 10,
    "filter": '.category == "animals" and .year > 2020',
    "search_in": ["image", "audio"],
    "similarity": "cosine",
    "fusion": {"strategy": "weighted_mean", "weights": {"image": 0.7}, "missing": "renormalise"},
    "ranking": {"method": "top_k"},
    "near": {"latitude": 35.66, "longitude": 139.75, "scale_km": 50},
    "personalise": 0.3,
    "explain": True,
    "deadline_ms": 500,
}

RESULT: dict[str, Any] = {
    "query_id": "q-17",
    "occurred_at": "2026-05-01T12:02:58.120Z",
    "status": "ok",
    "hits": [
        {
            "rank": 1,
            "item_id": "cat-face",
            "score": 0.93,
            "modality_scores": {"image": {"similarity": 0.91, "calibrated": 0.997, "weight": 1.0, "rank": 1}},
            "attributes": {"category": "animals", "year": 2024},
            "because": ["its image is near your text"],
            "explanation": {
                "pairs": [
                    {
                        "part": 0,
                        "query": "text",
                        "item": "image",
                        "similarity": 0.91,
                        "calibrated": 0.997,
                        "deviations": 9.1,
                        "weight": 1.0,
                        "rank": 1,
                    }
                ],
                "contributions": {"content": 0.93},
                "age_s": 178.1,
            },
        }
    ],
    "timings_ms": {"queue": 1.8, "encode": 6.2, "search": 3.1, "fuse": 0.7, "total": 12.4},
    "candidates": 412,
    "model": "builtin@2",
    "explanation": {
        "strategy": "rrf",
        "similarity": "cosine",
        "missing": "renormalise",
        "constants": {"rrf_k": 60.0, "rank_depth": 50.0},
        "weights": {"image": 1.0},
    },
}

ITEM_VECTORS: dict[str, Any] = {
    "item_id": "kanagawa-0042",
    "occurred_at": "2026-05-01T12:00:00Z",
    "version_ms": 1777636800000,
    "version_offset": 41,
    "model": "builtin@2",
    "dims": 2,
    "vectors": {"text": "mpkZP83MTD8="},
    "attributes": {"category": "places"},
    "segments": [
        {"modality": "text", "source": "text", "start": 0, "end": 9, "text": "港の朝、船が帰る。", "codes": "X38="},
        {"modality": "image", "source": "video", "start": 1.5, "end": 1.5, "codes": "f0A="},
    ],
}

USER_PROFILE: dict[str, Any] = {
    "user_id": "mika",
    "updated_at_ms": 1777636980000,
    "model": "builtin@2",
    "vector": "mpkZP83MTD8=",
    "strength": 1.5,
    "recent": ["kanagawa-0042"],
    "steps": [{"item_id": "kanagawa-0042", "weight": 1.5, "at_ms": 1777636980000, "session_id": "s-3"}],
}

TAG_COUNTS: dict[str, Any] = {
    "type": "tag.counts",
    "occurred_at": "2026-05-01T12:04:11Z",
    "label_set": "sentiment",
    "partition": 2,
    "window_start": "2026-05-01T12:00:00Z",
    "window_end": "2026-05-01T12:05:00Z",
    "counts": {"positive": 12, "neutral": 31, "negative": 3},
    "items": 52,
    "through_offset": 1042,
    "watermark": "2026-05-01T12:04:10.250Z",
}

MODEL_CALIBRATION: dict[str, Any] = {
    "occurred_at": "2026-05-01T12:05:00Z",
    "model": "builtin@2",
    "revision": 3,
    "tables": [
        {
            "measured_at_ms": 1777637100000,
            "effective_at_ms": 1777637130000,
            "items": {"text": 1857, "image": 1857},
            "backgrounds": [
                {"query": "text", "item": "text", "mean": 0.212, "std": 0.104},
                {"query": "text", "item": "image", "mean": 0.031, "std": 0.087},
            ],
        }
    ],
}

DEAD_LETTER: dict[str, Any] = {
    "occurred_at": "2026-05-01T12:00:01Z",
    "role": "content",
    "reason": "media_not_found",
    "stage": "fetch",
    "message": "https://media.example.org/harbour.jpg answered 404; correct the address and send the event again",
    "field": "modalities.image.uri",
    "origin": {"topic": "crosscurrent.content", "partition": 2, "offset": 41, "timestamp_ms": 1777636800100},
    "key": "a2FuYWdhd2EtMDA0Mg==",
    "value": "e30=",
    "headers": {"traceparent": "MDAtMGFmNzY1MTkxNmNkNDNkZDg0NDhlYjIxMWM4MDMxOWMtMDE="},
    "attempts": 2,
    "replayed": {
        "letter": {"partition": 2, "offset": 17},
        "first": {"partition": 2, "offset": 17},
        "origin": {"topic": "crosscurrent.content", "partition": 2, "offset": 30, "timestamp_ms": 1777636700100},
        "attempts": 1,
    },
}

REPLAY_MARK: dict[str, Any] = {
    "occurred_at": "2026-05-01T12:00:00Z",
    "letter": {"partition": 2, "offset": 17},
    "origin": {"topic": "crosscurrent.content", "partition": 2, "offset": 30, "timestamp_ms": 1777636700100},
    "state": "sent",
    "from_offset": 41,
}
