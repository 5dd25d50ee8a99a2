"""Micro-batching: nothing waits for company, nothing fails for its neighbours, nobody waits for ever."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders.base import AudioInput, EncoderInput, EncoderSet, ImageInput, TextInput
from encoders.batching import DeviceBatcher
from encoders.deterministic import DeterministicEncoder, deterministic_encoders

MODEL = ModelRef("deterministic", "1")
DIMS = 32


class Watched(DeterministicEncoder):
    """The deterministic encoder with a gate in front of its device, a diary of its batches, and faults on demand."""

    def __init__(
        self, modality: Modality = Modality.TEXT, *, fault: Callable[[Sequence[Any]], None] | None = None
    ) -> None:
        super().__init__(modality, MODEL, DIMS)
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[Any]] = []
        self.threads: set[str] = set()
        self.busy = 0
        self.fault = fault

    def forward(self, prepared: Sequence[list[bytes]]) -> NDArray[np.float64]:
        """Note the batch, wait for the gate, fail on demand."""
        self.busy += 1
        assert self.busy == 1, "two forward passes at once"
        try:
            self.threads.add(threading.current_thread().name)
            self.batches.append(list(prepared))
            assert self.gate.wait(60)
            if self.fault is not None:
                self.fault(prepared)
            return super().forward(prepared)
        finally:
            self.busy -= 1


class Sized(Watched):
    """The same with inputs whose size costs: the number of words."""

    max_padded = 40

    def size(self, prepared: list[bytes]) -> int:
        """Count the words."""
        return len(prepared)


class Crowded(Watched):
    """The same with inputs of which three count as one."""

    crowd = 3


class Diary:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[Modality, int, float, float]] = []

    def observe(self, modality: Modality, size: int, wait_s: float, encode_s: float) -> None:
        """Keep it."""
        self.seen.append((modality, size, wait_s, encode_s))


@asynccontextmanager
async def batching(*encoders: Watched, observer: Diary | None = None, **settings: Any) -> AsyncIterator[DeviceBatcher]:
    """Yield a batcher over these encoders and close it."""
    together = EncoderSet(model=MODEL, dims=DIMS, encoders={each.modality: each for each in encoders})
    batcher = DeviceBatcher(together, ModelSettings(**settings), observer)
    try:
        yield batcher
    finally:
        for encoder in encoders:
            encoder.gate.set()
        await batcher.close()


def texts(*words: str) -> list[tuple[Modality, EncoderInput]]:
    """Return requests for these texts."""
    return [(Modality.TEXT, TextInput(text=word)) for word in words]


def alone(text: str) -> NDArray[np.float32]:
    """Return the vector that the text has when it is encoded by itself."""
    encoder = DeterministicEncoder(Modality.TEXT, MODEL, DIMS)
    vector: NDArray[np.float32] = encoder.finish(encoder.forward([encoder.prepare(TextInput(text=text))]))[0]
    return vector


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never happened")


async def test_a_lone_input_waits_for_nobody():
    """An idle device takes one input at once: no time is spent filling a batch."""
    async with batching(Watched()) as batcher:
        await batcher.encode(Modality.TEXT, TextInput(text="first"))
        began = time.perf_counter()
        vector = await batcher.encode(Modality.TEXT, TextInput(text="cat"))

    assert time.perf_counter() - began < 2  # a batch that waited to be filled would wait for ever
    assert np.array_equal(vector, alone("cat"))


async def test_what_waited_becomes_one_batch():
    """While the device is busy others gather, and the next batch is all of them, up to the limit."""
    encoder = Watched()
    async with batching(encoder, max_batch=5) as batcher:
        encoder.gate.clear()
        first = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="first")))
        await until(lambda: len(encoder.batches) == 1)
        others = [asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text=f"word{n}"))) for n in range(7)]
        await until(lambda: batcher.waiting[Modality.TEXT] == 7)
        encoder.gate.set()
        vectors = await asyncio.gather(first, *others)

    assert [len(batch) for batch in encoder.batches] == [1, 5, 2]
    assert all(np.array_equal(vector, alone(f"word{n}")) for n, vector in enumerate(vectors[1:]))


async def test_small_inputs_go_in_larger_batches():
    """Three of them count as one towards the most in a batch."""
    encoder = Crowded()
    async with batching(encoder, max_batch=5) as batcher:
        encoder.gate.clear()
        first = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="first")))
        await until(lambda: len(encoder.batches) == 1)
        others = asyncio.ensure_future(batcher.encode_many(texts(*(f"word{n}" for n in range(20)))))
        await until(lambda: batcher.waiting[Modality.TEXT] == 20)
        encoder.gate.set()
        await asyncio.gather(first, others)

    assert [len(batch) for batch in encoder.batches] == [1, 15, 5]


async def test_many_keep_their_order_over_modalities_and_refusals():
    """Vectors and refusals come back in the places of their requests."""
    async with batching(Watched(), Watched(Modality.IMAGE)) as batcher:
        picture = ImageInput(pixels=np.zeros((4, 4, 3), np.uint8))
        outcomes = await batcher.encode_many(
            [*texts("cat"), (Modality.IMAGE, picture), *texts(" \t", "dog"), (Modality.AUDIO, picture)]
        )

    assert np.array_equal(outcomes[0], alone("cat"))
    assert outcomes[1].shape == (DIMS,)
    assert outcomes[2].reason is Reason.INVALID_EVENT
    assert np.array_equal(outcomes[3], alone("dog"))
    assert outcomes[4].reason is Reason.UNSUPPORTED_MODALITY
    assert "text, image" in outcomes[4].message


async def test_nothing_asked_nothing_answered():
    """No requests give no outcomes."""
    async with batching(Watched()) as batcher:
        assert await batcher.encode_many([]) == []


async def test_only_the_device_thread_runs_the_network():
    """Forward passes of all modalities share one thread and never overlap."""
    encoders = [Watched(), Watched(Modality.IMAGE)]
    async with batching(*encoders) as batcher:
        pictures = [ImageInput(pixels=np.full((2, 2, 3), n, np.uint8)) for n in range(20)]
        await batcher.encode_many([*texts(*"abcdefghij"), *((Modality.IMAGE, each) for each in pictures)])

    assert encoders[0].threads | encoders[1].threads == {"device_0"}


async def test_halves_when_memory_runs_out():
    """A batch too large for the device is halved until it fits, and later batches start smaller."""

    def too_large(prepared: Sequence[Any]) -> None:
        if len(prepared) > 3:
            msg = "CUDA out of memory. Tried to allocate 2.00 GiB"
            raise RuntimeError(msg)

    encoder = Watched(fault=too_large)
    async with batching(encoder, max_batch=16) as batcher:
        words = [f"word{n}" for n in range(16)]
        vectors = await batcher.encode_many(texts(*words))
        assert all(np.array_equal(vector, alone(word)) for vector, word in zip(vectors, words, strict=True))

        encoder.batches.clear()
        await batcher.encode_many(texts(*words))
        assert max(len(batch) for batch in encoder.batches) == 8


async def test_one_that_never_fits_is_refused_alone():
    """An input that the device cannot hold even by itself is refused; its neighbours are encoded."""

    def hates_whales(prepared: Sequence[Any]) -> None:
        if any(b"word:whale" in features for features in prepared):
            raise MemoryError

    async with batching(Watched(fault=hates_whales)) as batcher:
        outcomes = await batcher.encode_many(texts("cat", "whale", "dog"))

    assert np.array_equal(outcomes[0], alone("cat"))
    assert outcomes[1].reason is Reason.ENCODER_FAILED
    assert "memory" in outcomes[1].message
    assert np.array_equal(outcomes[2], alone("dog"))


async def test_one_that_breaks_the_network_is_refused_alone():
    """An exception in the forward pass is blamed on the one input that causes it."""

    def hates_whales(prepared: Sequence[Any]) -> None:
        if any(b"word:whale" in features for features in prepared):
            msg = "index out of range in self"
            raise IndexError(msg)

    async with batching(Watched(fault=hates_whales)) as batcher:
        outcomes = await batcher.encode_many(texts("cat", "whale", "dog"))

    assert [isinstance(outcome, RejectEvent) for outcome in outcomes] == [False, True, False]
    assert outcomes[1].reason is Reason.ENCODER_FAILED
    assert "index out of range" in outcomes[1].message


async def test_a_vector_without_direction_is_refused_alone():
    """Not-a-number never gets out as a vector."""

    class Blank(Watched):
        def finish(self, output: Any) -> NDArray[np.float32]:
            rows = super().finish(output)
            if len(rows) > 1:
                rows[1] = np.nan
            return rows

    async with batching(Blank()) as batcher:
        outcomes = await batcher.encode_many(texts("cat", "ghost", "dog"))

    assert [isinstance(outcome, RejectEvent) for outcome in outcomes] == [False, True, False]


async def test_a_broken_device_blames_no_input():
    """When known good input fails too, events are kept for later and not refused: the topic is not dead-lettered."""

    def dead(prepared: Sequence[Any]) -> None:
        msg = "CUDA error: device-side assert triggered"
        raise RuntimeError(msg)

    encoder = Watched(fault=dead)
    async with batching(encoder) as batcher:
        with pytest.raises(RetryLater, match="known good input"):
            await batcher.encode_many(texts("cat", "dog"))

        encoder.fault = None
        assert np.array_equal(await batcher.encode(Modality.TEXT, TextInput(text="cat")), alone("cat"))


async def test_a_failure_on_the_way_back_is_recovered():
    """An error that only shows when results are fetched, as GPUs do, is dealt with like one in the forward pass."""

    class Late(Watched):
        def finish(self, output: Any) -> NDArray[np.float32]:
            if len(output) > 1:
                msg = "CUDA out of memory"
                raise RuntimeError(msg)
            return super().finish(output)

    async with batching(Late()) as batcher:
        vectors = await batcher.encode_many(texts("cat", "dog"))

    assert np.array_equal(vectors[0], alone("cat")) and np.array_equal(vectors[1], alone("dog"))


async def test_modalities_take_turns():
    """A flood of texts does not keep a picture waiting for more than a batch."""
    text, image = Watched(), Watched(Modality.IMAGE)
    order: list[Modality] = []
    text.fault = lambda _: order.append(Modality.TEXT)
    image.fault = lambda _: order.append(Modality.IMAGE)
    async with batching(text, image, max_batch=4) as batcher:
        text.gate.clear()
        flood = asyncio.ensure_future(batcher.encode_many(texts(*(f"word{n}" for n in range(64)))))
        await until(lambda: batcher.waiting[Modality.TEXT] > 30)
        picture = asyncio.ensure_future(batcher.encode(Modality.IMAGE, ImageInput(pixels=np.ones((2, 2, 3), np.uint8))))
        await until(lambda: batcher.waiting[Modality.IMAGE] == 1)
        text.gate.set()
        await asyncio.gather(flood, picture)

    assert order.index(Modality.IMAGE) <= 3
    assert order.count(Modality.TEXT) >= 16


async def test_pads_little():
    """Where padding costs, short and long inputs go in batches of their own, within the limit of size times number."""
    encoder = Sized()
    long, short = " ".join("abcdefghij"), "z"
    async with batching(encoder, max_batch=8) as batcher:
        encoder.gate.clear()
        first = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="first")))
        await until(lambda: len(encoder.batches) == 1)
        mixed = asyncio.ensure_future(batcher.encode_many(texts(*[long, short] * 6)))
        await until(lambda: batcher.waiting[Modality.TEXT] == 12)
        encoder.gate.set()
        vectors = await mixed
        await first

    sizes = [[len(features) for features in batch] for batch in encoder.batches[1:]]
    assert all(len(batch) * max(batch) <= Sized.max_padded for batch in sizes)
    assert sum(len(set(batch)) > 1 for batch in sizes) <= 1
    assert np.array_equal(vectors[0], alone(long)) and np.array_equal(vectors[11], alone(short))


async def test_one_larger_than_the_limit_goes_alone():
    """An input that exceeds the size limit by itself is still encoded."""
    encoder = Sized()
    async with batching(encoder) as batcher:
        giant = " ".join(f"w{n}" for n in range(100))
        outcomes = await batcher.encode_many(texts("a", giant, "b"))

    assert np.array_equal(outcomes[1], alone(giant))


async def test_holds_callers_back():
    """Only so many inputs are inside at once; the others wait outside without being prepared."""
    encoder = Watched()
    prepared = 0

    class Counting(Watched):
        def prepare(self, item: EncoderInput) -> list[bytes]:
            nonlocal prepared
            prepared += 1
            return super().prepare(item)

    encoder = Counting()
    async with batching(encoder, max_waiting=10, max_batch=4) as batcher:
        encoder.gate.clear()
        flood = asyncio.ensure_future(batcher.encode_many(texts(*(f"word{n}" for n in range(95)))))
        await until(lambda: prepared == 10)
        await asyncio.sleep(0.05)
        assert prepared == 10
        encoder.gate.set()
        vectors = await flood

    assert np.array_equal(vectors[94], alone("word94"))


async def test_concurrent_floods_do_not_lock_each_other_out():
    """Many callers, each wanting more places than there are, all get through."""
    async with batching(Watched(), max_waiting=8) as batcher:
        floods = [batcher.encode_many(texts(*(f"{name}{n}" for n in range(40)))) for name in "abcdef"]
        outcomes = await asyncio.wait_for(asyncio.gather(*floods), 120)

    assert all(len(each) == 40 for each in outcomes)


async def test_cancelled_inputs_are_skipped():
    """What nobody awaits any more does not reach the device, and its places are given back."""
    encoder = Watched()
    async with batching(encoder, max_waiting=8) as batcher:
        encoder.gate.clear()
        first = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="first")))
        await until(lambda: len(encoder.batches) == 1)
        doomed = asyncio.ensure_future(batcher.encode_many(texts("doomed", "lost")))
        await until(lambda: batcher.waiting[Modality.TEXT] == 2)
        doomed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doomed
        assert batcher.waiting[Modality.TEXT] == 0
        encoder.gate.set()
        await first
        await batcher.encode_many(texts(*"abcdefgh"))

    assert all(b"word:doomed" not in features for batch in encoder.batches for features in batch)


async def test_closing_finishes_what_runs_and_refuses_what_waits():
    """On close the batch on the device is answered, and what waits is told that another worker will take it."""
    encoder = Watched()
    async with batching(encoder, max_batch=1) as batcher:
        encoder.gate.clear()
        running = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="cat")))
        await until(lambda: len(encoder.batches) == 1)
        waiting = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="dog")))
        await until(lambda: batcher.waiting[Modality.TEXT] == 1)
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0.02)
        encoder.gate.set()
        await closing

        assert np.array_equal(await running, alone("cat"))
        with pytest.raises(RetryLater, match="shutting down"):
            await waiting
        with pytest.raises(RetryLater, match="shutting down"):
            await batcher.encode(Modality.TEXT, TextInput(text="late"))
        assert not [thread for thread in threading.enumerate() if thread.name in encoder.threads and thread.is_alive()]


async def test_tells_its_observer():
    """Each batch is reported once: what, how many, how long it waited and ran."""
    diary, encoder = Diary(), Watched()
    async with batching(encoder, observer=diary) as batcher:
        encoder.gate.clear()
        first = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="first")))
        await until(lambda: len(encoder.batches) == 1)
        others = asyncio.ensure_future(batcher.encode_many(texts("a", "b")))
        await until(lambda: batcher.waiting[Modality.TEXT] == 2)
        await asyncio.sleep(0.05)
        encoder.gate.set()
        await asyncio.gather(first, others)

    assert [(modality, size) for modality, size, _, _ in diary.seen] == [(Modality.TEXT, 1), (Modality.TEXT, 2)]
    assert diary.seen[0][3] >= 0.05 and diary.seen[1][2] >= 0.05


async def test_an_unexpected_error_in_preparation_is_refused_alone():
    """A defect met by one input is that input's refusal."""

    class Clumsy(Watched):
        def prepare(self, item: Any) -> list[bytes]:
            if item.text == "trap":
                msg = "no such key"
                raise KeyError(msg)
            return super().prepare(item)

    async with batching(Clumsy()) as batcher:
        outcomes = await batcher.encode_many(texts("cat", "trap"))

    assert np.array_equal(outcomes[0], alone("cat"))
    assert outcomes[1].reason is Reason.ENCODER_FAILED


async def test_an_empty_sound_is_refused_by_the_shipped_encoders():
    """The deterministic profile refuses what real ones refuse."""
    batcher = DeviceBatcher(deterministic_encoders(), ModelSettings())
    with pytest.raises(RejectEvent):
        await batcher.encode(Modality.AUDIO, AudioInput(samples=np.zeros(0, np.float32), sample_rate_hz=16_000))
    await batcher.close()


class Doorkeeper(Watched):
    """Prepares when its door is open, and keeps a diary of who was prepared in which thread."""

    def __init__(self, modality: Modality = Modality.TEXT) -> None:
        super().__init__(modality)
        self.door = threading.Event()
        self.door.set()
        self.prepared: list[tuple[str, int]] = []

    def prepare(self, item: Any) -> list[bytes]:
        """Wait for the door, note the input."""
        assert self.door.wait(60)
        self.prepared.append((getattr(item, "text", "picture"), threading.get_ident()))
        return super().prepare(item)


async def test_callers_that_come_together_are_prepared_together():
    """Sixty single requests in one turn of the loop are one hop to one thread, and one batch."""
    encoder = Doorkeeper()
    async with batching(encoder) as batcher:
        await asyncio.gather(*(batcher.encode(Modality.TEXT, TextInput(text=f"word{n}")) for n in range(60)))

    assert [text for text, _ in encoder.prepared] == [f"word{n}" for n in range(60)]
    assert len({thread for _, thread in encoder.prepared}) == 1
    assert [len(batch) for batch in encoder.batches] == [60]


async def test_preparation_takes_turns():
    """A flood of pictures to prepare keeps a text waiting for two handfuls, not for all of them."""
    pictures, text = Doorkeeper(Modality.IMAGE), Doorkeeper()
    text.prepared = pictures.prepared
    async with batching(pictures, text) as batcher:
        pictures.door.clear()
        picture = ImageInput(pixels=np.zeros((2, 2, 3), np.uint8))
        flood = [asyncio.ensure_future(batcher.encode(Modality.IMAGE, picture)) for _ in range(50)]
        await asyncio.sleep(0.05)
        lone = asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="cat")))
        await asyncio.sleep(0.05)
        pictures.door.set()
        await asyncio.gather(lone, *flood)

    assert [name for name, _ in pictures.prepared].index("cat") <= 6


async def test_one_cancelled_before_it_is_prepared_is_passed_over():
    """And its place is given back."""
    encoder = Doorkeeper()
    async with batching(encoder, max_waiting=8) as batcher:
        encoder.door.clear()
        held = []
        for word in ("one", "two"):  # so that both threads have something in hand
            held.append(asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text=word))))
            await asyncio.sleep(0.02)
        more = [asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text=f"late{n}"))) for n in range(6)]
        await asyncio.sleep(0.02)
        for doomed in more:
            doomed.cancel()
        await asyncio.gather(*more, return_exceptions=True)
        encoder.door.set()
        await asyncio.gather(*held)
        await asyncio.wait_for(batcher.encode_many(texts(*"abcdefgh")), 60)

    assert not [text for text, _ in encoder.prepared if text.startswith("late")]


async def test_a_device_that_is_away_in_preparation_blames_nobody():
    """An encoder that says "later" while it prepares is heard: the event is kept."""

    class Away(Watched):
        def prepare(self, item: Any) -> list[bytes]:
            raise RetryLater("the tokenizer's service is away")

    async with batching(Away()) as batcher:
        with pytest.raises(RetryLater, match="service is away"):
            await batcher.encode(Modality.TEXT, TextInput(text="cat"))
        with pytest.raises(RetryLater, match="service is away"):
            await batcher.encode_many(texts("cat", "dog"))


async def test_closing_turns_away_what_is_being_prepared():
    """Nobody is left waiting for a device that is gone, and no callback finds the threads gone."""
    encoder, failures = Doorkeeper(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with batching(encoder) as batcher:
        encoder.door.clear()
        inside = [asyncio.ensure_future(batcher.encode(Modality.TEXT, TextInput(text="cat"))) for _ in range(3)]
        await asyncio.sleep(0.02)
        behind = []
        for words in ("abcdefgh", "ijkl"):  # the first fills the other thread, the second finds none
            behind.append(asyncio.ensure_future(batcher.encode_many(texts(*words))))
            await asyncio.sleep(0.02)
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0.02)
        encoder.door.set()
        await asyncio.wait_for(closing, 60)

        for one in (*inside, *behind):
            with pytest.raises(RetryLater, match="shutting down"):
                await asyncio.wait_for(one, 60)
    assert encoder.batches == []
    assert failures == []
