"""Doing several things at once without leaving any of them running behind."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all, wait for all, and return their results in order.

    ``asyncio.gather`` alone returns at the first error while the others go on; a ``TaskGroup`` wraps the error.

    Raises:
        BaseException: The first error in the order of the works, after all have ended.
    """
    done: list[T] = []
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done
