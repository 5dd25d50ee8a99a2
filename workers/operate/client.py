"""Publish events and ask questions from a program: ``AsyncClient``, and ``Client`` for code without an event loop.

::

    with Client(load_settings()) as client:
        client.publish({"type": "content.upsert", "item_id": "1", "modalities": {"text": {"text": "a cat"}}})
        print(client.search("猫").hits)
"""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from config.errors import CrosscurrentError
from config.settings import Settings
from config.vocabulary import QueryId
from workers.contracts.query import Query
from workers.contracts.result import Result
from workers.contracts.topics import Topic
from workers.operate.outgoing import InputEvent, Sender, checked
from workers.operate.results import ResultListener

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 30.0


class NoResultError(CrosscurrentError):
    """No result came in time."""


def new_query_id() -> QueryId:
    """An identifier that no other query has."""
    return QueryId(f"q-{uuid.uuid4()}")


class AsyncClient:
    """Publishes events and asks questions over Kafka. Use it as an asynchronous context manager.

    Args:
        settings: Which broker and topics.
        reply_to: Topic for the results of this client's questions; the shared results topic when None.
    """

    def __init__(self, settings: Settings, *, reply_to: str | None = None) -> None:
        self._settings = settings
        self._reply_to = reply_to
        self._sender = Sender(settings.kafka)
        self._listener: ResultListener | None = None
        self._listening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._sender.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            await self._listener.stop()
        await self._sender.stop()

    async def publish(self, event: InputEvent | Mapping[str, Any]) -> None:
        """Publish a content or interaction event; returns once all in-sync replicas have it.

        Raises:
            RejectEvent: It is no event; the message names every wrong field. Nothing was sent.
            PublishError: The broker did not confirm it.
        """
        await self._sender.send(checked(event, self._settings.kafka))

    async def publish_many(
        self,
        events: Iterable[InputEvent | Mapping[str, Any]] | AsyncIterable[InputEvent],
        on_confirmed: Callable[[], object] = lambda: None,
    ) -> int:
        """Publish events in batches and return how many were confirmed; calls back for each.

        Raises:
            RejectEvent: One is no event; those before it may have been sent.
            PublishError: The broker did not confirm one.
        """
        if isinstance(events, AsyncIterable):
            return await self._sender.send_many(events, on_confirmed)
        return await self._sender.send_many((checked(event, self._settings.kafka) for event in events), on_confirmed)

    async def query(self, query: Query | Mapping[str, Any], *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Result:
        """Ask a question and wait for its result, which may be an error result: look at ``status``.

        Args:
            query: The question; a mapping in the wire's form may leave out ``query_id``.
            timeout_s: Longest wait.

        Raises:
            RejectEvent: It is no query; nothing was sent.
            NoResultError: No result came in time.
            Misconfigured: The broker cannot be reached or lacks the results topic.
        """
        listener = await self._listen()
        question = self._question(query)
        result = listener.expect(question.query_id)
        try:
            async with asyncio.timeout(timeout_s):
                await self._sender.send(question)
                return await result
        except TimeoutError as exc:
            raise NoResultError(self._no_result(question, listener.topic, timeout_s)) from exc
        finally:
            result.cancel()

    async def search(self, text: str, **fields: Any) -> Result:
        """Search by a text; ``fields`` are those of a query event, such as ``k=5``."""
        part = {"modality": "text", "text": text}
        return await self.query({"kind": "search", "parts": [part], **fields})

    async def summarize(self, *item_ids: str, text: str = "", **fields: Any) -> Result:
        """Summarise items, or what a text finds; beside items a text says what the summary should be about.

        ``fields`` are those of a query event, such as ``summary={"passages": 5}``.
        """
        named = {"item_ids": list(item_ids)} if item_ids else {}
        parts = {"parts": [{"modality": "text", "text": text}]} if text else {}
        return await self.query({"kind": "summarize", **named, **parts, **fields})

    async def _listen(self) -> ResultListener:
        async with self._listening:
            if self._listener is None:
                kafka = self._settings.kafka
                listener = ResultListener(kafka, self._reply_to or Topic.RESULTS.named(kafka.topic_prefix))
                try:
                    await listener.start()
                except BaseException:
                    await listener.stop()
                    raise
                self._listener = listener
        return self._listener

    def _question(self, query: Query | Mapping[str, Any]) -> Query:
        if isinstance(query, Mapping):
            read = checked({"query_id": new_query_id(), **query}, self._settings.kafka)
            assert isinstance(read, Query)  # noqa: S101 - `kind` is what makes a mapping a query
            query = read
        if query.reply_to not in {None, self._reply_to}:
            msg = f"this client does not read {query.reply_to}: give it reply_to={query.reply_to!r}"
            raise CrosscurrentError(msg)
        return query if query.reply_to == self._reply_to else query.model_copy(update={"reply_to": self._reply_to})

    def _no_result(self, question: Query, topic: str, timeout_s: float) -> str:
        return (
            f"no result for query {question.query_id} on {topic} within {timeout_s:g} s: check that a queries worker "
            f"runs on the prefix {self._settings.kafka.topic_prefix!r} and is ready (its /ready address, its lag), or "
            "run 'crosscurrent doctor'"
        )


class Client:
    """``AsyncClient`` for code without an event loop; it may be used from several threads at once.

    Args:
        settings: Which broker and topics.
        reply_to: Topic for the results of this client's questions; the shared results topic when None.
    """

    def __init__(self, settings: Settings, *, reply_to: str | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crosscurrent-client", daemon=True)
        self._settings = settings
        self._reply_to = reply_to
        self._client: AsyncClient | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._client = self._wait_for(self._open())
        except BaseException:
            self._close_loop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait_for(self._opened().__aexit__(None, None, None))
        finally:
            self._close_loop()

    def publish(self, event: InputEvent | Mapping[str, Any]) -> None:
        """See ``AsyncClient.publish``."""
        self._wait_for(self._opened().publish(event))

    def publish_many(
        self, events: Iterable[InputEvent | Mapping[str, Any]], on_confirmed: Callable[[], object] = lambda: None
    ) -> int:
        """See ``AsyncClient.publish_many``; ``on_confirmed`` is called from the client's own thread."""
        return self._wait_for(self._opened().publish_many(events, on_confirmed))

    def query(self, query: Query | Mapping[str, Any], *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Result:
        """See ``AsyncClient.query``."""
        return self._wait_for(self._opened().query(query, timeout_s=timeout_s))

    def search(self, text: str, **fields: Any) -> Result:
        """See ``AsyncClient.search``."""
        return self._wait_for(self._opened().search(text, **fields))

    def summarize(self, *item_ids: str, text: str = "", **fields: Any) -> Result:
        """See ``AsyncClient.summarize``."""
        return self._wait_for(self._opened().summarize(*item_ids, text=text, **fields))

    async def _open(self) -> AsyncClient:
        return await AsyncClient(self._settings, reply_to=self._reply_to).__aenter__()

    def _opened(self) -> AsyncClient:
        if self._client is None:
            msg = "the client is not open: use it in a with statement"
            raise RuntimeError(msg)
        return self._client

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the loop must not go on with it
            raise

    def _close_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
