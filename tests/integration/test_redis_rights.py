"""The Redis user of docs/security.md: what it may do is what the code does, and the three workers live with it."""

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import redis

from config.errors import Misconfigured, RetryLater
from config.settings import PeopleSettings, RedisSettings
from config.vocabulary import Action, ItemId, Modality, Role, UserId
from fusion.index.layouts import Layout
from fusion.index.protocol import WriteOutcome
from fusion.index.redis_index import RedisVectorIndex
from fusion.index.redis_layouts import RedisLayouts
from fusion.people.protocol import Interaction
from fusion.people.redis_store import RedisPeopleStore
from tests.fusion_builders import DIMS, MODEL, item, tombstone, unit
from tests.integration.delivery_kit import Ground, eventually
from workers.operate.client import AsyncClient
from workers.operate.embedded import EmbeddedRedis

ROOT = Path(__file__).parents[2]
PASSWORD = "redis-pass-9f3"  # noqa: S105 - of a server that lives as long as this module
_ROLES = (Role.CONTENT, Role.INTERACTIONS, Role.QUERIES)
NOW_MS = 1_760_000_000_000


def documented() -> list[str]:
    """The words of the documented rule, behind the user's name."""
    (rule,) = re.findall(r"ACL SETUSER crosscurrent (.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)
    return [word.replace("PASSWORD", PASSWORD) for word in rule.split()]


def in_code() -> set[str]:
    """Commands that the stores send, and those that their scripts call."""
    found: set[str] = set()
    for folder in ("fusion/index", "fusion/people"):
        for path in (ROOT / folder).glob("*.py"):
            found |= set(re.findall(r'(?:\(|execute_command\()"([A-Z]{3,})", ', path.read_text()))
        for path in (ROOT / folder).glob("*.lua"):
            found |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text()))
    return {name.lower() for name in found | set(re.findall(r"redis\.call\('([A-Z]+)'", _scripts_in_python()))}


def _scripts_in_python() -> str:
    return "".join(path.read_text() for path in (ROOT / "fusion").rglob("*.py"))


def test_the_documented_commands_are_those_in_the_code() -> None:
    """None too many, none too few: beside them only what the client library says of itself."""
    allowed = {word[1:] for word in documented() if word.startswith("+")}
    assert allowed - {"select", "client|setinfo"} == in_code()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis whose only other user is the documented one, with the keys of tests' prefixes."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        rule = [word.replace("crosscurrent", "test-") if word.startswith("~") else word for word in documented()]
        with redis.Redis.from_url(running.url) as admin:
            admin.execute_command("ACL", "SETUSER", "limited", *[word.replace(":*", "*") for word in rule])
        yield running


@pytest.fixture
def limited(server: EmbeddedRedis) -> Iterator[str]:
    """Address of the server as that user, who must be refused nothing."""
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "LOG", "RESET")
        yield server.url.replace("redis://", f"redis://limited:{PASSWORD}@")
        refused = admin.execute_command("ACL", "LOG")
    assert refused == []


@pytest.fixture
async def index(limited: str, prefix: str) -> AsyncIterator[RedisVectorIndex]:
    """An index as that user."""
    made = RedisVectorIndex(RedisSettings(url=limited, prefix=prefix, shards=2), MODEL, DIMS)
    yield made
    await made.close()


async def test_an_index_and_its_layouts_live_with_it(index: RedisVectorIndex, limited: str, prefix: str) -> None:
    """Write, fetch, count, sample, delete, and drop a layout."""
    await index.check()
    written = [item(f"i{n}", vectors={Modality.TEXT: unit(n)}, attributes={"n": n}) for n in range(20)]
    assert set(await index.write(written)) == {WriteOutcome.APPLIED}
    assert len(await index.fetch([ItemId("i1"), ItemId("i2")])) == 2
    assert (await index.counts())[Modality.TEXT] == 20
    assert await index.write([tombstone("i3", at_ms=2000)]) == [WriteOutcome.APPLIED]
    layouts = RedisLayouts(RedisSettings(url=limited, prefix=prefix, shards=2))
    try:
        assert await layouts.read() is None
        await layouts.fence(layouts.home(MODEL), 1)
        await layouts.forget(Layout(name="other", shards=2, model=MODEL))
    finally:
        await layouts.close()


async def test_people_live_with_it(limited: str, prefix: str) -> None:
    """What they do is counted, read and forgotten."""
    store = RedisPeopleStore(RedisSettings(url=limited, prefix=prefix), PeopleSettings(), MODEL, DIMS)
    try:
        ann = UserId("ann")
        for number in range(3):
            click = Interaction(
                event_id=f"e{number}",
                user_id=ann,
                item_id=ItemId(f"i{number}"),
                action=Action.CLICK,
                occurred_at_ms=NOW_MS + number,
                weight=1.0,
                vector=unit(number),
            )
            await store.record([click])
        assert await store.profile(ann, now_ms=NOW_MS + 10) is not None
        await store.trends(5, now_ms=NOW_MS + 10)
        await store.forget(ann, occurred_at_ms=NOW_MS + 20)
    finally:
        await store.close()


@pytest.mark.slow
@pytest.mark.timeout(200)
async def test_three_workers_live_with_it(limited: str, kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """An item is found, liked and recommended; Redis refused nothing, and no log holds the password."""
    ground = Ground(kafka=kafka_bootstrap, redis=limited, prefix=prefix, folder=tmp_path)
    with ExitStack() as stack:
        content, people, queries = (stack.enter_context(ground.worker(role)) for role in _ROLES)
        for worker in (content, people, queries):
            await worker.ready()
        async with AsyncClient(ground.settings) as client:
            for name in "ab":
                text = {"text": {"text": f"a cat {name}"}}
                event = {"type": "content.upsert", "item_id": name, "modalities": text, "attributes": {"n": 1}}
                await client.publish(event)

            async def both_are_found() -> bool:
                return len((await client.search("a cat", k=2, filter=".n > 0")).hits) == 2

            await eventually(both_are_found, 60.0)
            await client.publish({
                "type": "interaction", "event_id": "e", "user_id": "u", "action": "like", "item_id": "a",
                "occurred_at": "2026-01-01T10:00:00Z",
            })  # fmt: skip
            await eventually(lambda: _done(people.ended("done", Role.INTERACTIONS)), 60.0)
            assert (await client.query({"kind": "recommend", "user_id": "u"})).status == "ok"
        for worker in (content, people, queries):
            assert worker.stop() == 0
            assert PASSWORD not in worker.child.log.read_text()


@asynccontextmanager
async def tls_before(port: int, folder: Path) -> AsyncIterator[str]:
    """TLS in front of a Redis, as where it has none of its own; its address, whose certificate signs itself."""
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem")]
    made = ["openssl", "req", *words, *names, "-out", str(folder / "ca.pem")]
    await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while read := await reader.read(65_536):
                writer.write(read)
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    proxy = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)
    try:
        yield f"rediss://limited:{PASSWORD}@localhost:{proxy.sockets[0].getsockname()[1]}/0"
    finally:
        proxy.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl, which is not here")
async def test_tls_with_an_authority_of_ones_own(server: EmbeddedRedis, prefix: str, tmp_path: Path) -> None:
    """Named in the address it is trusted; unnamed it is refused, with the way out and without the password."""
    async with tls_before(server.port, tmp_path) as url:
        for address, trusted in ((f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}", True), (url, False)):
            index = RedisVectorIndex(RedisSettings(url=address, prefix=prefix), MODEL, DIMS)
            try:
                if trusted:
                    await index.check()
                    continue
                with pytest.raises(RetryLater, match=r"CERTIFICATE_VERIFY_FAILED.*ssl_ca_certs=") as caught:
                    await index.check()
                assert PASSWORD not in str(caught.value)
            finally:
                await index.close()


async def _done(count: float) -> bool:
    return count >= 1


async def test_what_is_not_listed_is_refused(server: EmbeddedRedis, prefix: str) -> None:
    """Another command, and another prefix's keys; ours tells an operator which command it was."""
    url = server.url.replace("redis://", f"redis://limited:{PASSWORD}@")
    with redis.Redis.from_url(url) as client:
        for words in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("GET", "{another:0}:meta")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words)
    stranger = RedisVectorIndex(RedisSettings(url=url, prefix="another"), MODEL, DIMS)
    with pytest.raises(Misconfigured, match="lacks a right") as caught:
        await stranger.check()
    assert PASSWORD not in str(caught.value)
    await stranger.close()
