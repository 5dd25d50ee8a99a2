"""Fetching media: inline, from files, over HTTP; every wall, limit and passing trouble."""

import asyncio
import base64
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from tests.unit.workers.streams.support import FixedResolver
from workers.contracts.media import MediaContent
from workers.streams.fetch import MediaFetcher

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOCAL = MediaSettings(max_bytes=1024, allowed_private_hosts=("127.0.0.1",), fetch_timeout_s=2, max_redirects=2)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[TestServer]:
    """A web server on a free port that answers every path the same way."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield server


async def fetched(uri: str, settings: MediaSettings = LOCAL) -> bytes:
    """Fetch one address as an image of an item."""
    async with MediaFetcher(settings) as fetcher:
        return await fetcher.fetch(MediaContent(uri=uri), field="modalities.image")


async def refused(media: MediaContent, settings: MediaSettings = LOCAL) -> MediaRejected:
    """Fetch what must be refused and return the refusal."""
    async with MediaFetcher(settings) as fetcher:
        with pytest.raises(MediaRejected) as caught:
            await fetcher.fetch(media, field="modalities.image")
    return caught.value


def settings_for(folder: Path, **changes: object) -> MediaSettings:
    """Settings that allow one folder."""
    return MediaSettings(allowed_folders=(folder,), max_bytes=1024, **changes)


async def test_inline_data_is_decoded():
    """Base64 comes back as its bytes."""
    async with MediaFetcher(LOCAL) as fetcher:
        data = base64.b64encode(b"\x00\xffcat").decode()
        assert await fetcher.fetch(MediaContent(data=data), field="f") == b"\x00\xffcat"


@pytest.mark.parametrize("data", ["%%%", "AAA", "AAAA\nAAAA", "data:image/png;base64,AAAA", "猫"])
async def test_inline_data_must_be_strict_base64(data: str):
    """Anything but padded base64 on one line is refused under ``data``."""
    error = await refused(MediaContent(data=data))
    assert (error.reason, error.field) == (Reason.MEDIA_UNDECODABLE, "modalities.image.data")


async def test_inline_data_is_limited():
    """The limit holds before anything is decoded."""
    error = await refused(MediaContent(data=base64.b64encode(bytes(2000)).decode()))
    assert error.reason is Reason.MEDIA_TOO_LARGE


@pytest.mark.parametrize("uri", ["ftp://h/a", "gopher://h/a", "data:image/png;base64,AAAA", "s3://bucket/a"])
async def test_other_schemes_are_refused_by_name(uri: str):
    """Only http, https and file are fetched; the message names what was asked for."""
    error = await refused(MediaContent(uri=uri))
    assert error.reason is Reason.MEDIA_NOT_ALLOWED
    assert error.message.startswith(uri.partition(":")[0])


async def test_http_can_be_switched_off():
    """The operator's word counts."""
    error = await refused(MediaContent(uri="https://example.org/a"), MediaSettings(allow_http=False))
    assert error.reason is Reason.MEDIA_NOT_ALLOWED


async def test_a_file_is_fetched_over_http():
    """The plain case."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"cat")

    async with serving(answer) as server:
        assert await fetched(str(server.make_url("/cat.png"))) == b"cat"


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:{port}/a",
        "http://[::ffff:127.0.0.1]:{port}/a",
        "http://2130706433:{port}/a",
        "http://localhost:{port}/a",
        "http://0.0.0.0:{port}/a",
        "http://0x7f.0.0.1:{port}/a",
        "http://10.0.0.1/a",
        "http://169.254.169.254/latest/meta-data",
    ],
)
async def test_our_own_network_is_out_of_reach(uri: str):
    """No spelling of a loopback or private address reaches a server that is there and would answer."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=b"secret")

    async with serving(answer) as server:
        error = await refused(MediaContent(uri=uri.format(port=server.port)), MediaSettings())
    assert error.reason is Reason.MEDIA_NOT_ALLOWED
    assert not asked


async def test_a_name_for_our_own_network_is_out_of_reach():
    """A public name that resolves to loopback is refused when it is connected to, whatever it resolved to before."""
    async with MediaFetcher(MediaSettings(), resolver=FixedResolver("127.0.0.1")) as fetcher:
        with pytest.raises(MediaRejected) as caught:
            await fetcher.fetch(MediaContent(uri="https://innocent.example.org/a"), field="f")
    assert caught.value.reason is Reason.MEDIA_NOT_ALLOWED


async def test_a_name_that_is_allowed_is_connected_to_at_the_checked_address():
    """The resolver's answer is what is connected to: no second look-up happens."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=request.host.encode())

    settings = MediaSettings(allowed_private_hosts=("store.internal",))
    async with serving(answer) as server, MediaFetcher(settings, resolver=FixedResolver("127.0.0.1")) as fetcher:
        uri = f"http://store.internal:{server.port}/a"
        assert await fetcher.fetch(MediaContent(uri=uri), field="f") == f"store.internal:{server.port}".encode()


@pytest.mark.parametrize("target", ["http://localhost/a", "http://10.0.0.1/a", "file:///etc/passwd", "ftp://h/a"])
async def test_a_redirect_is_checked_like_the_first_address(target: str):
    """An allowed server cannot send us where we may not go."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    async with serving(answer) as server:
        error = await refused(MediaContent(uri=str(server.make_url("/a"))))
    assert error.reason is Reason.MEDIA_NOT_ALLOWED


async def test_redirects_are_followed_up_to_a_limit():
    """Relative targets work; a loop ends."""

    async def answer(request: web.Request) -> web.Response:
        left = int(request.path.strip("/"))
        if left:
            return web.Response(status=307, headers={"Location": f"/{left - 1}"})
        return web.Response(body=b"cat")

    async with serving(answer) as server:
        assert await fetched(str(server.make_url("/2"))) == b"cat"
        error = await refused(MediaContent(uri=str(server.make_url("/3"))))
    assert error.reason is Reason.MEDIA_NOT_FOUND
    assert "redirects" in error.message


async def test_a_download_stops_at_the_limit():
    """A body without a declared length is cut off while it streams, not after."""
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(bytes(65_536))
            sent += 65_536
        return response

    async with serving(answer) as server:
        error = await refused(MediaContent(uri=str(server.make_url("/a"))))
    assert error.reason is Reason.MEDIA_TOO_LARGE
    assert sent < 100 * 2**20


async def test_a_declared_length_over_the_limit_is_not_downloaded():
    """200 MB that are announced are refused at once."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(200 * 2**20)})
        await response.prepare(request)
        await asyncio.sleep(5)
        return response

    async with serving(answer) as server:
        async with asyncio.timeout(1):
            error = await refused(MediaContent(uri=str(server.make_url("/a"))))
    assert error.reason is Reason.MEDIA_TOO_LARGE


async def test_a_compressed_answer_does_not_unfold():
    """Bytes are taken as they are, so a small answer stays small."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8bnot unpacked", headers={"Content-Encoding": "gzip"})

    async with serving(answer) as server:
        assert await fetched(str(server.make_url("/a"))) == b"\x1f\x8bnot unpacked"


@pytest.mark.parametrize("status", [204, 401, 403, 404, 410])
async def test_a_final_no_is_taken_at_once(status: int):
    """What will not get better is asked for once."""
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=status)

    async with serving(answer) as server:
        error = await refused(MediaContent(uri=str(server.make_url("/a"))))
    assert (error.reason, asked) == (Reason.MEDIA_NOT_FOUND, 1)
    assert str(status) in error.message


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_trouble_is_waited_out(status: int):
    """A server that stumbles once is asked again."""
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=status, headers={"Retry-After": "0"}) if asked == 1 else web.Response(body=b"cat")

    async with serving(answer) as server:
        assert await fetched(str(server.make_url("/a"))) == b"cat"


async def test_a_server_that_stays_down_refuses_the_event():
    """Tries are bounded, so that a stranger's server never holds up a partition."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "0"})

    async with serving(answer) as server:
        error = await refused(MediaContent(uri=str(server.make_url("/a"))))
    assert error.reason is Reason.MEDIA_NOT_FOUND
    assert "503" in error.message


async def test_a_server_that_does_not_answer_is_given_up():
    """All tries together end within the time limit."""

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with serving(answer) as server:
        async with asyncio.timeout(2):
            error = await refused(
                MediaContent(uri=str(server.make_url("/a"))), LOCAL.model_copy(update={"fetch_timeout_s": 0.3})
            )
    assert error.reason is Reason.MEDIA_NOT_FOUND


async def test_nobody_listening_is_not_found(unused_tcp_port: int):
    """A refused connection is passing trouble at first, and then an answer."""
    error = await refused(MediaContent(uri=f"http://127.0.0.1:{unused_tcp_port}/a"))
    assert error.reason is Reason.MEDIA_NOT_FOUND


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
async def test_a_certificate_nobody_vouches_for_is_refused_at_once(tmp_path: Path):
    """TLS is checked, and a wrong certificate is no passing trouble."""
    context = self_signed(tmp_path)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"cat")

    app = web.Application()
    app.router.add_get("/a", answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        error = await refused(MediaContent(uri=f"https://127.0.0.1:{server.port}/a"))
    finally:
        await server.close()
    assert error.reason is Reason.MEDIA_NOT_FOUND
    assert "certificate" in error.message


async def test_messages_hold_no_credentials():
    """User, password, query and fragment never reach a dead letter or a log."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=404)

    async with serving(answer) as server:
        uri = f"http://mika:hunter2@127.0.0.1:{server.port}/cat.png?signature=s3cr3t#frag"
        message = (await refused(MediaContent(uri=uri))).message
    assert "/cat.png" in message
    assert not any(secret in message for secret in ("mika", "hunter2", "s3cr3t", "frag"))


async def test_a_file_in_an_allowed_folder_is_read(tmp_path: Path):
    """Also one whose name needs escaping."""
    (tmp_path / "a cat.png").write_bytes(b"cat")
    assert await fetched((tmp_path / "a cat.png").as_uri(), settings_for(tmp_path)) == b"cat"


async def test_no_file_is_read_unless_a_folder_is_allowed(tmp_path: Path):
    """The default allows none."""
    (tmp_path / "cat.png").write_bytes(b"cat")
    error = await refused(MediaContent(uri=(tmp_path / "cat.png").as_uri()), MediaSettings())
    assert error.reason is Reason.MEDIA_NOT_ALLOWED


async def test_files_outside_are_refused_in_one_voice(tmp_path: Path):
    """Dots, links and absent files outside all look the same, so that nobody can feel around the disk."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (inside / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "inside-too").mkdir()
    (tmp_path / "inside-too" / "a").write_bytes(b"secret")
    uris = [
        f"file://{inside}/../secret",
        f"file://{inside}/%2e%2e/secret",
        f"file://{inside}/link",
        f"file://{tmp_path}/inside-too/a",
        f"file://{tmp_path}/absent",
    ]
    errors = [await refused(MediaContent(uri=uri), settings_for(inside)) for uri in uris]
    assert {(error.reason, error.message) for error in errors} == {(Reason.MEDIA_NOT_ALLOWED, errors[0].message)}


async def test_only_regular_files_are_read(tmp_path: Path):
    """Folders, pipes (which would hang) and devices are refused."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe"):
        error = await refused(MediaContent(uri=f"file://{tmp_path}/{name}"), settings_for(tmp_path))
        assert error.reason is Reason.MEDIA_NOT_ALLOWED
    device = await refused(MediaContent(uri="file:///dev/zero"), settings_for(Path("/dev")))
    assert device.reason is Reason.MEDIA_NOT_ALLOWED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent.png", Reason.MEDIA_NOT_FOUND),
        ("%00", Reason.MEDIA_NOT_FOUND),
        ("%ff", Reason.MEDIA_NOT_FOUND),
        ("x" * 300, Reason.MEDIA_NOT_FOUND),
        ("large", Reason.MEDIA_TOO_LARGE),
    ],
)
async def test_other_trouble_with_files_has_its_reason(tmp_path: Path, name: str, reason: Reason):
    """Absent, unspeakable and large files."""
    (tmp_path / "large").write_bytes(bytes(1025))
    assert (await refused(MediaContent(uri=f"file://{tmp_path}/{name}"), settings_for(tmp_path))).reason is reason


@pytest.mark.parametrize("uri", ["file:relative", "file://other-host/etc/passwd"])
async def test_a_files_address_is_absolute_and_local(uri: str, tmp_path: Path):
    """No other host, no relative path."""
    assert (await refused(MediaContent(uri=uri), settings_for(tmp_path))).reason is Reason.MEDIA_NOT_ALLOWED
