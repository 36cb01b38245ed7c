"""The ledger: every acknowledged write is looked for through the platform, and has to be there exactly once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

from .clock import now
from .mix import BY_COOKIE, DANGLING, EVENTUAL, HOSTS, WRITE
from .records import Request, Run
from .web import Answer, Target, Unanswered, ask

T = TypeVar("T")

#: Seconds between two looks.
_PAUSE = 0.2
#: How many learners are asked at once whether they are logged in.
_ASKED_AT_ONCE = 16


@dataclass
class Account:
    """What became of the writes to one store, or to all of them."""

    #: Answered with 201.
    acknowledged: int = 0
    #: Acknowledged and absent; None where the ledger could not be read, so that no reader takes it for 0.
    lost: int | None = 0
    #: Present more than once, acknowledged or not: each was sent once; None as above.
    duplicated: int | None = 0
    #: Never answered, so they may be present or not.
    unknown: int = 0
    #: Present although the answer was a failure, or although never sent.
    foreign: int = 0
    #: Rows, whoever wrote them, that point at something which another store does not have; None as above.
    dangling: int | None = 0
    #: Why the store could not be audited.
    audit_error: str | None = None
    lost_keys: list[str] = field(default_factory=list)
    duplicated_keys: list[str] = field(default_factory=list)
    dangling_keys: list[str] = field(default_factory=list)


async def audit(run: Run, requests: Iterable[Request], patience: float) -> dict[str, Account]:
    """Look into every store; wait up to ``patience`` seconds for one that does not answer or still works off tasks."""
    writes: dict[str, list[Request]] = {store: [] for store in run.stores}
    for request in requests:
        if request.action == WRITE:
            writes[request.store].append(request)
    accounts = await asyncio.gather(*(_audit_store(run, store, writes[store], patience) for store in run.stores))
    return dict(zip(run.stores, accounts, strict=True))


def total(accounts: Iterable[Account]) -> Account:
    """The accounts of several stores as one."""
    whole = Account()
    for one in accounts:
        whole.acknowledged += one.acknowledged
        whole.lost = _sum(whole.lost, one.lost)
        whole.duplicated = _sum(whole.duplicated, one.duplicated)
        whole.unknown += one.unknown
        whole.foreign += one.foreign
        whole.dangling = _sum(whole.dangling, one.dangling)
        whole.audit_error = whole.audit_error or one.audit_error
        whole.lost_keys += one.lost_keys
        whole.duplicated_keys += one.duplicated_keys
        whole.dangling_keys += one.dangling_keys
    return whole


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


async def _audit_store(run: Run, store: str, writes: list[Request], patience: float) -> Account:
    acknowledged = {write.key for write in writes if write.succeeded}
    unknown = {write.key for write in writes if write.status is None}
    account = Account(acknowledged=len(acknowledged), unknown=len(unknown))
    deadline = now() + patience
    try:
        if store in BY_COOKIE:
            counts = await _logged_in(run, store, writes, deadline)
        else:
            counts = await _settled_counts(run, store, acknowledged, deadline)
        if store in DANGLING:
            account.dangling_keys = await _dangling(run, store, deadline)
    except Unanswered as problem:
        account.audit_error = f"the ledger of {store} could not be read: {problem}"
        account.lost = account.duplicated = account.dangling = None
        return account
    account.lost_keys = sorted(acknowledged - set(counts))
    account.duplicated_keys = sorted(key for key, count in counts.items() if count > 1)
    account.lost = len(account.lost_keys)
    account.duplicated = len(account.duplicated_keys)
    account.foreign = len(set(counts) - acknowledged - unknown)
    account.dangling = len(account.dangling_keys)
    return account


async def _settled_counts(run: Run, store: str, acknowledged: set[str], deadline: float) -> dict[str, int]:
    """What the ledger holds; where tasks are worked off, once all are and nothing more comes, or time is up."""
    counts = await _counts(run, store, deadline)
    while store in EVENTUAL and now() < deadline:
        await asyncio.sleep(_PAUSE)
        before, counts = counts, await _counts(run, store, deadline)
        if acknowledged <= counts.keys() and counts == before:
            break
    return counts


async def _counts(run: Run, store: str, deadline: float) -> dict[str, int]:
    return await _answered(run, store, f"/ledger/{store}?prefix={quote(run.prefix)}", deadline, _read_counts)


async def _logged_in(run: Run, store: str, writes: Iterable[Request], deadline: float) -> dict[str, int]:
    """Ask each learner who was logged in whether that is still so."""
    turn = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def asked(login: Request) -> bool:
        async with turn:
            path = f"/ledger/{store}/{login.key}"
            return await _answered(run, store, path, deadline, _read_logged_in, login.cookie)

    logins = [write for write in writes if write.succeeded]
    found = await asyncio.gather(*(asked(login) for login in logins))
    return {login.key: 1 for login, still in zip(logins, found, strict=True) if still}


async def _dangling(run: Run, store: str, deadline: float) -> list[str]:
    return await _answered(run, store, DANGLING[store], deadline, _read_missing)


async def _answered(
    run: Run, store: str, path: str, deadline: float, read: Callable[[Answer], T], cookie: str | None = None
) -> T:
    """Ask until an answer comes that can be read, or time is up."""
    while True:
        try:
            return read(await ask(Target.parse(run.target), "GET", HOSTS[store], path, run.timeout, cookie))
        except Unanswered:
            if now() >= deadline:
                raise
        await asyncio.sleep(_PAUSE)


def _read_counts(answer: Answer) -> dict[str, int]:
    _refuse_status(answer, 200)
    try:
        return {str(key): int(count) for key, count in json.loads(answer.body)["counts"].items() if int(count)}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise Unanswered("did not answer with counts") from problem


def _read_logged_in(answer: Answer) -> bool:
    _refuse_status(answer, 200, 401)
    return answer.status == 200


def _read_missing(answer: Answer) -> list[str]:
    _refuse_status(answer, 200, 409)
    try:
        return sorted(str(key) for key in json.loads(answer.body)["missing"])
    except (ValueError, KeyError, TypeError) as problem:
        raise Unanswered("did not tell which rows point at nothing") from problem


def _refuse_status(answer: Answer, *expected: int) -> None:
    if answer.status not in expected:
        raise Unanswered(f"answered {answer.status}")
