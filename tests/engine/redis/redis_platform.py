# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform does with Redis: sessions and caches, tasks by a real Celery, events with a group of consumers."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import redis
from celery_app import app, write_down
from redis_site import EDGE, await_true

BROKER = f"redis://openedx:appsecret@{EDGE}:6379/0"
CACHE = f"redis://openedx:appsecret@{EDGE}:6379/1"


class Part:
    """Something that goes on until it is stopped."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.longest = 0.0
        self.free = threading.Event()
        self.free.set()
        self.resting = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Part:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self.free.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.resting.set()
            self.free.wait()
            self.resting.clear()
            begun = time.monotonic()
            try:
                self.once()
            except (redis.RedisError, OSError) as problem:
                self.failed.append(f"{type(problem).__name__}: {problem}")
            except Exception as problem:  # Celery wraps what its transport raised
                self.failed.append(f"{type(problem).__name__}: {problem}")
            self.longest = max(self.longest, time.monotonic() - begun)
            time.sleep(0.02)

    def once(self) -> None:
        """One turn."""
        raise NotImplementedError


class Sessions(Part):
    """Learners: each request reads the session and writes it, over a pool, as django-redis does."""

    def __init__(self, learners: int = 20) -> None:
        super().__init__()
        self._pool = redis.Redis(connection_pool=redis.ConnectionPool.from_url(CACHE, socket_timeout=20))
        self._learners = learners
        self._turn = 0
        self.pages: dict[int, int] = {}
        self.logged_out: list[int] = []

    def once(self) -> None:
        self._turn += 1
        learner = self._turn % self._learners
        key = f":1:django.contrib.sessions.cache{learner}"
        found = self._pool.get(key)
        pages = self.pages.get(learner)
        if pages is not None and (found is None or int(found) < pages):
            self.logged_out.append(learner)
        self._pool.set(key, (pages or 0) + 1, ex=86400)
        self.pages[learner] = (pages or 0) + 1


class Events(Part):
    """The event bus: writes to a stream, and a group of consumers that reads and acknowledges."""

    def __init__(self) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(BROKER, socket_timeout=20)
        self._client.delete("event-bus")
        self._client.xgroup_create("event-bus", "group", id="0", mkstream=True)
        self.written: list[str] = []
        self.read: Counter[str] = Counter()

    def once(self) -> None:
        number = str(len(self.written))
        self._client.xadd("event-bus", {"n": number}, maxlen=10000)
        self.written.append(number)
        # What an earlier turn got and could not acknowledge comes first.
        for start in ("0", ">"):
            answer = self._client.xreadgroup("group", "consumer", {"event-bus": start}, count=50)
            for _, entries in answer or []:
                for identity, fields in entries:
                    self._client.xack("event-bus", "group", identity)
                    self.read[fields[b"n"].decode()] += 1


class Tasks(Part):
    """A producer of tasks, and workers that are processes of their own."""

    def __init__(self, folder: Path, seconds: float = 0.02, workers: int = 1) -> None:
        super().__init__()
        self._folder = folder
        self.ledger = folder / f"ledger.{time.monotonic_ns():x}"
        self._seconds = seconds
        self._workers = workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self.sent: list[int] = []
        app.conf.broker_url = BROKER
        self._number = itertools.count(1)

    def start_workers(self) -> None:
        """Start the workers as Tutor's containers do."""
        environment = {
            **os.environ, "TUTOROPS_BROKER": BROKER, "TUTOROPS_LEDGER": str(self.ledger),
            "PYTHONPATH": str(Path(__file__).parent),
        }  # fmt: skip
        for number in range(self._workers):
            log = (self._folder / f"worker{number}.log").open("ab")
            command = ["nice", "-n", "10", sys.executable, "-m", "celery", "--app=celery_app", "worker",
                       "--loglevel=info", f"--hostname=edx.lms.core.default.{number}@lab", "--concurrency=2",
                       "--without-gossip", "--without-mingle"]  # fmt: skip
            self._processes.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            )
        await_true(lambda: self._ready() >= self._workers, "the workers")

    def stop_workers(self) -> None:
        """Stop them warmly."""
        for one in self._processes:
            one.terminate()
        for one in self._processes:
            one.wait(30)
        self._processes.clear()

    def alive(self) -> bool:
        """Whether all workers run."""
        return all(one.poll() is None for one in self._processes)

    def send(self, seconds: float | None = None, countdown: float | None = None) -> None:
        """Send one task."""
        number = next(self._number)
        write_down.apply_async((number, self._seconds if seconds is None else seconds), countdown=countdown)
        self.sent.append(number)

    def once(self) -> None:
        self.send()

    def done(self) -> Counter[int]:
        """How often each task was executed."""
        text = self.ledger.read_text() if self.ledger.exists() else ""
        return Counter(int(line) for line in text.split())

    def audit(self, seconds: float = 90.0) -> tuple[list[int], list[int]]:
        """Wait for the end of all tasks; those that never ran, and those that ran twice."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and set(self.sent) - set(self.done()):
            time.sleep(0.2)
        done = self.done()
        return [one for one in self.sent if not done[one]], [one for one, times in done.items() if times > 1]

    def _ready(self) -> int:
        return sum((self._folder / f"worker{n}.log").read_text().count(" ready.") > 0 for n in range(self._workers))


class Requests:
    """The hold of requests at Caddy, as far as the web part of this platform goes (see request_hold.py)."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._held = False

    def hold(self, seconds: float) -> None:
        """Let them begin no new turn."""
        self._held = True
        for one in self._parts:
            one.free.clear()

    def drained(self) -> bool:
        """Whether all turns have ended."""
        return self._held and all(one.resting.is_set() for one in self._parts)

    def release(self) -> None:
        """Let them go on."""
        self._held = False
        for one in self._parts:
            one.free.set()

    def held(self) -> bool:
        """Whether they wait."""
        return self._held
