"""A sequence model from the interactions topic and the index of real servers to a recommendation."""

import asyncio
import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from config.vocabulary import ItemId, Modality, Version
from encoders.identity import identify
from fusion.index.protocol import Item
from fusion.index.redis_index import RedisVectorIndex
from fusion.learning.sequence import SequenceNetwork
from tests.fusion_builders import unit
from tests.integration.delivery_kit import Ground
from workers.contracts.topics import Topic
from workers.operate.cli import app

USERS, ITEMS, STEPS = 40, 12, 6


async def test_it_is_trained_from_the_topic_and_the_index(
    kafka_bootstrap: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """Everybody goes round the items; the record names the model of the vectors, and how much was learnt from."""
    ground = Ground(kafka=kafka_bootstrap, redis=redis_url, prefix=prefix, folder=tmp_path)
    settings = ground.settings
    space = identify(settings.model)
    index = RedisVectorIndex(settings.redis, space.model, space.dims)
    items = [
        Item(item_id=ItemId(f"i{n:02}"), version=Version(1, n), vectors={Modality.TEXT: unit(n, space.dims)})
        for n in range(ITEMS)
    ]
    await index.write(items)
    await index.close()
    async with ground.publisher() as publisher:
        for step in range(STEPS):
            for user in range(USERS):
                event = {"type": "interaction", "event_id": f"{user}-{step}", "user_id": f"u{user}", "action": "click"}
                event["item_id"] = f"i{(user + step) % ITEMS:02}"
                topic = ground.topic(Topic.INTERACTIONS)
                await publisher.send(topic, key=f"u{user}".encode(), value=json.dumps(event).encode())
    config = tmp_path / "settings.yaml"
    servers = {"kafka": {"bootstrap_servers": kafka_bootstrap, "topic_prefix": prefix}}
    servers |= {"redis": {"url": redis_url, "prefix": prefix}, "model": {"profile": "deterministic"}}
    config.write_text(yaml.safe_dump(servers))
    out = tmp_path / "model"

    words = ["--config", str(config), "train", "sequence", "--out", str(out), "--epochs", "2", "--width", "16"]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)  # it has an event loop of its own

    assert done.exit_code == 0, done.output
    record = json.loads((out / "sequence.json").read_text())
    assert (record["actions"], record["users"], record["items"]) == (USERS * STEPS, USERS, ITEMS)
    assert SequenceNetwork.load(out).model == space.model
