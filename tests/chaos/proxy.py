"""A TCP proxy that can be cut, hung and slowed while connections live: a network that fails, without root rights."""

import asyncio
import contextlib
from typing import Final

_CHUNK: Final = 2**16


class Proxy:
    """Forwards connections from a loopback port of its own; lives in the running event loop.

    Args:
        target_port: Loopback port of the server; may be changed, as for a server that comes back elsewhere.
    """

    def __init__(self, target_port: int = 0) -> None:
        self.target_port = target_port
        self.port = 0
        self.delay_s = 0.0
        """Added to each chunk in each direction."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and end every connection."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """End every connection and take no new one."""
        self._is_cut = True
        for connection in self._connections:
            connection.cancel()

    def hang(self) -> None:
        """Hold back every byte; connections stay, new ones are taken and say nothing."""
        self._flowing.clear()

    def mend(self) -> None:
        """All is well again; what was held back arrives."""
        self._is_cut, self.delay_s = False, 0.0
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled by ``cut`` alone
                if not self._is_cut:
                    await self._join(reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        pumps = {asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))}
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(chunk)
            await writer.drain()
