"""Redis' and the network's errors as instructions. The wordings of the server are known here and nowhere else."""

from redis import exceptions as redis_errors

from config.errors import CrosscurrentError, Misconfigured, Reason, RejectEvent, RetryLater

LIBRARY_ERRORS = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError, TimeoutError)
"""Everything that a call to Redis may raise."""

_PAUSE_S = 1.0
_LONG_PAUSE_S = 5.0

# Starts of replies that pass by themselves, or once an operator has seen to the server while events wait.
_TRANSIENT = (
    "LOADING",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MASTERDOWN",
    "READONLY",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
    "UNKILLABLE",
)

# Parts of replies that an operator must act on, and what to do.
_REMEDIES = {
    "unknown command": "this server has no vector sets: use Redis 8 or later",
    "dimension mismatch": "the vector set holds vectors of another length: give the new model another name or version",
    "quantization": "the vector set is quantised otherwise: set redis.quantisation back, or redis.prefix to a new one",
    "WRONGTYPE": "a key of ours holds something else: set redis.prefix to one that nobody else uses",
    "NOPERM": "the user lacks a right: grant it the keys under redis.prefix and the commands of docs/security.md",
    "NOAUTH": "a password is needed: put it into redis.url",
    "WRONGPASS": "user or password are wrong: see redis.url",
    "CROSSSLOT": "the server is a cluster: set redis.cluster to true",
    "MOVED": "the server is a cluster: set redis.cluster to true",
}


def explain(error: BaseException) -> CrosscurrentError:
    """What to do about an error of ``LIBRARY_ERRORS``; raise it ``from`` the error."""
    text = str(error)
    if isinstance(error, redis_errors.NoPermissionError):
        text = f"NOPERM {text}"  # the library takes it away
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text = f"{text}: name the file with its authority's certificate in redis.url, as ?ssl_ca_certs=FILE"
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return Misconfigured(f"Redis refuses us ({text}): check user and password in redis.url")
    if "FILTER expression" in text:
        return RejectEvent(Reason.INVALID_FILTER, f"Redis does not accept it: {text}", field="filter")
    if isinstance(error, redis_errors.OutOfMemoryError) or text.startswith("OOM"):
        return RetryLater(f"Redis is out of memory ({text}): raise maxmemory", retry_after_s=_LONG_PAUSE_S)
    for wording, remedy in _REMEDIES.items():
        if wording in text:
            return Misconfigured(f"Redis: {remedy} ({text})")
    if _is_transient(error, text):
        return RetryLater(f"Redis cannot be asked now: {text or type(error).__name__}", retry_after_s=_PAUSE_S)
    return Misconfigured(f"Redis gave an answer that is not understood: {text}")


def _is_transient(error: BaseException, text: str) -> bool:
    away = (
        redis_errors.ConnectionError,
        redis_errors.TimeoutError,
        redis_errors.ClusterError,
        redis_errors.RedisClusterException,
        redis_errors.ReadOnlyError,
        redis_errors.TryAgainError,
        OSError,
        TimeoutError,
    )
    return isinstance(error, away) or text.startswith(_TRANSIENT)
