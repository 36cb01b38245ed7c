"""The open loop: requests leave when they are due, whatever became of those before them."""

from __future__ import annotations

import asyncio
import itertools
import random

from .clock import now
from .mix import BY_COOKIE, EVENTUAL, PAGE, READ, WRITE, Kind, choose
from .records import Journal, Request, Run
from .web import Target, Unanswered, ask


class Load:
    """The traffic of one run."""

    def __init__(self, run: Run, journal: Journal) -> None:
        #: Set from outside: no more arrivals.
        self.stop = asyncio.Event()
        #: Set when as many requests as one second brings have succeeded.
        self.under_way = asyncio.Event()
        self.over = 0
        self.failed = 0
        self.longest_stall = 0.0
        self.waiting: dict[int, Request] = {}
        self._run = run
        self._journal = journal
        self._target = Target.parse(run.target)
        self._mix = choose(run.stores)
        self._shares = [kind.share for kind in self._mix]
        self._acknowledged: dict[str, list[str]] = {}
        self._cookies: dict[str, str | None] = {}
        # Two of them: which kinds come is a matter of the prefix alone, not of what was answered by then.
        self._kinds, self._keys = random.Random(run.prefix), random.Random(run.prefix)

    async def send(self, seconds: float | None = None) -> None:
        """Send for so long, or until ``stop`` is set; return when nothing is in flight any more."""
        start = now()
        async with asyncio.TaskGroup() as flights:
            for number in itertools.count():
                due = start + number / self._run.rate
                if (seconds is not None and due >= start + seconds) or await self._stopped_before(due):
                    break
                flights.create_task(self._fly(number, due))

    async def _stopped_before(self, due: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, due - now())):
                await self.stop.wait()
        except TimeoutError:
            pass
        return self.stop.is_set()

    async def _fly(self, number: int, due: float) -> None:
        kind, key = self._draw(number)
        request = Request(number, kind.action, kind.store, key, scheduled=due, started=now())
        self._journal.sent(request)
        self.waiting[number] = request
        try:
            cookie = self._cookies.get(key)
            answer = await ask(self._target, kind.method, kind.host, kind.path(key), self._run.timeout, cookie)
            request.status = answer.status
            request.cookie = answer.cookie if kind.action == WRITE and kind.store in BY_COOKIE else None
        except Unanswered as problem:
            request.error = str(problem)
        request.ended = now()
        self._journal.over(request)
        del self.waiting[number]
        self._count(request)

    def _draw(self, number: int) -> tuple[Kind, str]:
        """Take a kind of request from the mix, and the key that it is about."""
        kind = self._kinds.choices(self._mix, self._shares)[0]
        if kind.action == WRITE:
            return kind, f"{self._run.prefix}{number:08}"
        if kind.action == READ:
            keys = self._acknowledged.get(kind.store)
            if not keys:  # Nothing there to be read yet.
                return next(one for one in self._mix if one.action == PAGE), ""
            # The latest write is the one that a wrong end would miss; older ones show what was lost on the way.
            return kind, self._keys.choice([keys[-1], self._keys.choice(keys)])
        return kind, ""

    def _count(self, request: Request) -> None:
        self.over += 1
        self.failed += request.failed
        self.longest_stall = max(self.longest_stall, request.latency(now()))
        if request.action == WRITE and request.succeeded and request.store not in EVENTUAL:
            self._acknowledged.setdefault(request.store, []).append(request.key)
            if request.store in BY_COOKIE:
                self._cookies[request.key] = request.cookie
        if self.over - self.failed >= self._run.rate:
            self.under_way.set()
