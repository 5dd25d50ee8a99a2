"""Keys and bytes: what lies in Redis, and what is refused before it does."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions as redis_errors

from config.errors import CrosscurrentError, Misconfigured, RejectEvent, RetryLater
from config.vocabulary import ItemId, Modality, ModelRef
from fusion.index.layout import Keys, fused_vector, load_attributes, pack_vectors, unpack_vectors
from fusion.index.redis_check import check_version
from fusion.index.redis_errors import LIBRARY_ERRORS, explain
from tests.fusion_builders import unit

KEYS = Keys("crosscurrent", 4, ModelRef("builtin", "1"))


def test_keys_are_those_of_the_contract() -> None:
    """crc32 modulo shards, one hash tag for all of an item's keys, the model in the name."""
    assert KEYS.shard_of("cat") == 0x9E5E43A8 % 4
    assert KEYS.vectors(2, Modality.IMAGE) == "{crosscurrent:2}:vec:builtin@1:image"
    assert KEYS.item(2, ItemId("猫")) == "{crosscurrent:2}:item:猫"


@given(st.sets(st.sampled_from(Modality), min_size=1), st.integers(1, 600), st.integers(0, 99))
def test_vectors_come_back_bit_by_bit(modalities: set[Modality], dims: int, seed: int) -> None:
    """Whatever they are, in little endian on any machine."""
    vectors = {each: unit(seed + place, dims) for place, each in enumerate(sorted(modalities))}
    read = unpack_vectors(pack_vectors(vectors))

    assert read.keys() == vectors.keys()
    assert all((read[each] == vectors[each]).all() for each in vectors)


def test_values_are_little_endian_float32() -> None:
    """The layout is public: other tools may read it."""
    packed = pack_vectors({Modality.TEXT: np.array([1.0, -2.5], np.float32)})

    assert packed == b"CCV1" + struct.pack("<IB", 2, 1) + b"\x04text" + struct.pack("<2f", 1.0, -2.5)


@pytest.mark.parametrize("cut", [0, 3, 9, -1])
def test_bytes_that_are_no_layout_are_refused(cut: int) -> None:
    """Rather than read as other numbers."""
    packed = pack_vectors({Modality.TEXT: unit(1)})

    with pytest.raises((ValueError, IndexError)):
        unpack_vectors(packed[:cut])


def test_vectors_that_cancel_out_have_a_mean_all_the_same() -> None:
    """The first by name stands for them: a direction of noise would change with the machine."""
    np.testing.assert_array_equal(fused_vector({Modality.TEXT: unit(1), Modality.IMAGE: -unit(1)}), -unit(1))
    assert np.linalg.norm(fused_vector({Modality.TEXT: unit(1), Modality.IMAGE: unit(2)})) == pytest.approx(1.0)


def test_attributes_stay_readable() -> None:
    """Unicode is kept as it is, for filters that name it."""
    assert load_attributes('{"a":"猫","b":[1.5]}') == {"a": "猫", "b": [1.5]}


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (redis_errors.ConnectionError("refused"), RetryLater, "refused"),
        (redis_errors.TimeoutError(), RetryLater, "TimeoutError"),
        (redis_errors.ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] unable"), RetryLater, "ssl_ca_certs="),
        (OSError("no route"), RetryLater, "no route"),
        (redis_errors.RedisClusterException("no node"), RetryLater, "no node"),
        (redis_errors.BusyLoadingError("LOADING"), RetryLater, "LOADING"),
        (redis_errors.ReadOnlyError("READONLY"), RetryLater, "READONLY"),
        (redis_errors.ClusterDownError("CLUSTERDOWN"), RetryLater, "CLUSTERDOWN"),
        (redis_errors.ResponseError("OOM command not allowed"), RetryLater, "maxmemory"),
        (redis_errors.ResponseError("unknown command 'VADD'"), Misconfigured, "Redis 8"),
        (redis_errors.ResponseError("WRONGTYPE Operation"), Misconfigured, "redis.prefix"),
        (redis_errors.AuthenticationError("invalid"), Misconfigured, "redis.url"),
        (redis_errors.NoPermissionError("No permissions to access a key"), Misconfigured, "docs/security.md"),
        (redis_errors.ResponseError("syntax error in FILTER expression near: x"), RejectEvent, "near: x"),
        (redis_errors.ResponseError("something new"), Misconfigured, "something new"),
    ],
)
def test_errors_become_instructions(error: BaseException, expected: type[CrosscurrentError], words: str) -> None:
    """Wait, refuse, or call the operator."""
    explained = explain(error)

    assert type(explained) is expected
    assert words in str(explained)


def test_no_error_of_the_library_is_forgotten() -> None:
    """Whatever it raises becomes one of ours."""
    found = [each for each in vars(redis_errors).values() if isinstance(each, type) and issubclass(each, Exception)]

    strange = {each.__name__ for each in found if not issubclass(each, LIBRARY_ERRORS)}
    # Faults of a caller's code, to be seen as such: forking with a lock held, transactions over slots, wrong policies.
    assert strange <= {"ChildDeadlockedError", "CrossSlotTransactionError", "IncorrectPolicyType"}


@pytest.mark.parametrize("version", ["8.0.0", "8.2.3", "8.4.6", "8.6.0", "9.0.0"])
def test_good_versions_pass(version: str) -> None:
    """From the first with vector sets."""
    check_version(version)


@pytest.mark.parametrize(("version", "words"), [("7.4.2", "no vector sets"), ("8.4.0", "crashes"), ("8.4.5", "8.4.6")])
def test_others_are_refused_with_the_way_out(version: str, words: str) -> None:
    """Too old, or known to crash at a deletion."""
    with pytest.raises(Misconfigured, match=words):
        check_version(version)
