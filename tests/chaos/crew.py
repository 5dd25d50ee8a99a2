"""The worker processes and who looks after them: what Kubernetes does, restarting what ends or fails its liveness."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from config.vocabulary import Role
from tests.chaos.servers import kill_9
from workers.operate.children import Child

_LOOK_EVERY_S: Final = 0.25
_PROBE_TIMEOUT_S: Final = 10.0  # two busy cores; a worker that is gone is found by its exit code
_GRACE_S: Final = 30.0
_TAIL_LINES: Final = 25
_NOT_LIVE: Final = 503
_UNANSWERED: Final = 3  # as Kubernetes counts by default
_TERMINATED: Final = 128 + signal.SIGTERM


@dataclass(slots=True, kw_only=True)
class Post:
    """One place in the crew: a process, and those that follow it.

    Args:
        told: Why its process is about to end; empty while it should live.
        stays: Whether a process that ended is followed by another.
    """

    role: Role
    name: str
    child: Child
    announced: Path
    began_s: float = field(default_factory=time.monotonic)
    told: str = ""
    stays: bool = True
    generation: int = 0
    unanswered: int = 0

    def address(self) -> tuple[int, int] | None:
        """Port of its pages and process id; None before it announced them."""
        try:
            read = json.loads(self.announced.read_text(encoding="utf-8"))
        except OSError:
            return None
        return read["port"], read["pid"]


class Crew:
    """Workers of all roles.

    Args:
        folder: For logs.
        environment: Their settings.
        size: Workers of each role.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, size: int) -> None:
        self._folder = folder
        self._environment = dict(environment) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._size = size
        self._hired = 0
        self.posts: list[Post] = []
        self.ends: Counter[str] = Counter()
        """How processes ended, in words."""
        self.surprises: list[str] = []
        """Ends that nobody asked for, each with the end of its log."""

    def hire(self, roles: Sequence[Role] = tuple(Role)) -> None:
        """Start the workers of roles."""
        for role in roles:
            for _ in range(self._size):
                self.posts.append(self._post(role))

    def join(self, role: Role) -> Post:
        """Start one more, that nobody follows once it ends."""
        post = self._post(role)
        post.stays = False
        self.posts.append(post)
        return post

    def of(self, role: Role) -> list[Post]:
        """Who works for a role."""
        return [post for post in self.posts if post.role is role and post.stays]

    def kill(self, post: Post) -> None:
        """``kill -9``: nothing is committed, nothing is said to the group."""
        post.told = "killed"
        kill_9(post.child)

    def term(self, post: Post) -> None:
        """SIGTERM: it drains, commits and leaves, and ends with 0."""
        post.told = "stopped"
        post.child.ask_to_stop()

    def stall(self, post: Post) -> None:
        """Make it stop fetching what it has by now."""
        told = post.address()
        if told is not None and post.child.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(told[1], signal.SIGUSR1)

    async def dismiss(self, roles: Sequence[Role] = tuple(Role)) -> None:
        """Stop the workers of roles in good order and wait until they ended."""
        leaving = [post for post in self.posts if post.role in roles]
        for post in leaving:
            post.stays = False
            if not post.told:
                self.term(post)
        async with asyncio.timeout(_GRACE_S + 10.0):
            while any(post in self.posts for post in leaving):
                self._look_at_ends()
                await asyncio.sleep(_LOOK_EVERY_S)

    async def ready(self, roles: Sequence[Role] = tuple(Role), *, timeout_s: float = 240.0) -> None:
        """Wait until everybody of the roles is ready."""
        async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as session:
            while not all(  # noqa: ASYNC110 - of other processes
                [await _status(session, post, "/ready") == 200 for post in self.posts if post.role in roles]
            ):
                await asyncio.sleep(_LOOK_EVERY_S)

    async def look_after(self) -> None:
        """Restart what ended and end what stalls, until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                self._look_at_ends()
                await asyncio.gather(*(self._probe(session, post) for post in self.posts))
                await asyncio.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Kill whatever still runs."""
        for post in self.posts:
            kill_9(post.child)
            post.child.stop(grace_s=0.0)
        self.posts = []

    def _look_at_ends(self) -> None:
        for post in list(self.posts):
            if (code := post.child.exit_code) is not None:
                self._account_for(post, code)
                post.child.stop(grace_s=0.0)  # closes its pipe
                place = self.posts.index(post)
                self.posts[place : place + 1] = [self._post(post.role, post)] if post.stays else []

    def _account_for(self, post: Post, code: int) -> None:
        self.ends[post.told or "by itself"] += 1
        # Told to stop before it could listen to that, it ends as any process does; it had nothing in hand.
        in_order = code == 0 or (code == _TERMINATED and post.address() is None)
        if not post.told or (post.told == "stopped" and not in_order):
            tail = post.child.log_tail(_TAIL_LINES)
            self.surprises.append(f"{post.name} ended with {code} ({post.told or 'not asked to'}):\n{tail}")

    async def _probe(self, session: aiohttp.ClientSession, post: Post) -> None:
        if post.told or post.address() is None:
            return
        status = await _status(session, post, "/live")
        post.unanswered = 0 if status else post.unanswered + 1
        if not post.told and (status == _NOT_LIVE or post.unanswered >= _UNANSWERED):
            post.told = "not live"
            asyncio.get_running_loop().call_later(_GRACE_S, kill_9, post.child)
            post.child.ask_to_stop()

    def _post(self, role: Role, before: Post | None = None) -> Post:
        if before is None:
            self._hired += 1
        name = before.name if before else f"{role}-{self._hired}"
        generation = before.generation + 1 if before else 0
        announced = self._folder / f"{name}.{generation}.json"
        command = [sys.executable, "-m", "tests.chaos.worker", "worker", role.value, "--port", "0"]
        command += ["--announce", str(announced)]
        child = Child(name, command, self._folder / f"{name}.{generation}.log", environment=self._environment)
        return Post(role=role, name=name, child=child, announced=announced, generation=generation)


async def _status(session: aiohttp.ClientSession, post: Post, page: str) -> int:
    """Status of one of its pages; 0 where nobody answers."""
    if (told := post.address()) is None:
        return 0
    limit = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
    try:
        async with session.get(f"http://127.0.0.1:{told[0]}{page}", timeout=limit) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0
