# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an operator wants, and what was found, to the numbers of workers and what has to be set for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .stores.base import Finding
from .tutor_errors import TutorError
from .tutor_workers import KINDS, MIB, Formula, Machine, Size, listing, size_text
from .tutor_workers_plugin import Record

AUTO, KEEP, DEFAULT = "auto", "keep", "default"
_NUMBER = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True)
class Service:
    """One service as it was found."""

    size: Size
    running: tuple[int, ...]
    """Worker processes that were counted in each of its containers."""
    named: int | None
    """The number that is set: in config.yml for uWSGI, in the rendered command for Celery."""
    usual: int
    """The number while none is set."""
    obstacle: str = ""
    """Why its number cannot be set; empty when it can."""

    @property
    def number(self) -> int:
        """The number in force after Tutor's next start."""
        if self.obstacle:
            return self.size.workers
        return self.usual if self.named is None else self.named


@dataclass(frozen=True)
class Found:
    """A platform and its host as they were found."""

    machine: Machine
    services: Mapping[str, Service]
    record: Record
    basis: Mapping[str, Any]
    in_force: Mapping[str, int] = field(default_factory=dict)
    """The settings as the rendered definitions have them, whatever config.yml says by now."""


@dataclass
class Plan:
    """What is to be done, and why."""

    numbers: dict[str, int]
    set: dict[str, int]
    unset: list[str]
    record: Record
    before: dict[str, str]
    """What to ask for to have everything as it is now."""
    peak: int
    findings: list[Finding] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def read_wants(given: Mapping[str, str]) -> dict[str, str]:
    """Check what is wanted of each service: a number, or one of the words."""
    for name, want in given.items():
        if want not in (AUTO, KEEP, DEFAULT) and not _NUMBER.match(want):
            raise TutorError(
                f"{want!r} cannot be the number of workers of {name}; give a whole number from 1 on, or one of "
                f"{AUTO}, {KEEP} and {DEFAULT}."
            )
    return dict(given)


def make_plan(
    found: Found, wants: Mapping[str, str], again: bool = False, worse: Mapping[str, int] | None = None
) -> Plan:
    """Work out the numbers; refuses what cannot be, before anything changes."""
    return _Planner(found, wants, again, worse).plan()


class _Planner:
    def __init__(self, found: Found, wants: Mapping[str, str], again: bool, worse: Mapping[str, int] | None) -> None:
        self._found = found
        self._record = found.record
        self._again = again
        self._worse = worse
        self._wants = {name: wants[name] for name in KINDS}
        self._formula = Formula(found.machine, {name: one.size for name, one in found.services.items()})
        self._findings: list[Finding] = []
        self._reasons: dict[str, str] = {}
        self._ours: set[str] = set()
        self._auto: set[str] = set()

    def plan(self) -> Plan:
        fixed, held, free = self._sort()
        if held and not self._formula.fits({**fixed, **held}):
            free, held = [name for name in KINDS if name in free or name in held], {}
        numbers = self._formula.choose({**fixed, **held}, free)
        numbers = {name: numbers[name] for name in KINDS}
        asked = [name for name in KINDS if name in fixed and self._wants[name] != KEEP]
        self._formula.refuse(numbers, asked, free)
        for name in free:
            self._reasons[name] = self._why(name, numbers)
        if self._known_worse(numbers):
            return self._stay()
        record = self._next_record(numbers, bool(free))
        return self._finished(numbers, record)

    def _sort(self) -> tuple[dict[str, int], dict[str, int], list[str]]:
        """Which numbers are fixed, which an earlier `auto` holds, and which services get one now."""
        fixed: dict[str, int] = {}
        held: dict[str, int] = {}
        free: list[str] = []
        for name, want in self._wants.items():
            one = self._found.services[name]
            if want == KEEP or (want == AUTO and one.obstacle):
                fixed[name], self._reasons[name] = one.number, one.obstacle or "kept, as asked"
                if want == AUTO:
                    self._find("kept", "info", name, f"{name} keeps its {one.number} workers: {one.obstacle}.")
            elif want == DEFAULT:
                fixed[name], self._reasons[name] = one.usual, "what Tutor does by itself"
            elif want != AUTO:
                self._refuse_obstacle(name, one)
                fixed[name], self._reasons[name] = int(want), "as asked"
                self._ours.add(name)
                if self._by_hand(name) and one.named != int(want):
                    self._find(
                        "replaced", "warning", name, f"{name} was set to {one.named} by hand, and {want} replaces that."
                    )
            elif self._by_hand(name):
                fixed[name], self._reasons[name] = one.number, "set by hand, and respected"
                self._find(
                    "by_hand",
                    "warning",
                    name,
                    f"{name} has {one.number} workers by {self._place(name)}, which auto respects.",
                    "Take it away there, or give a number of your own, to have it otherwise.",
                )
            else:
                self._ours.add(name)
                self._auto.add(name)
                if self._holds(name):
                    held[name], self._reasons[name] = one.number, "chosen by an earlier run, and still fits"
                else:
                    free.append(name)
        return fixed, held, free

    def _by_hand(self, name: str) -> bool:
        named = self._found.services[name].named
        return named is not None and named != self._record.numbers.get(name)

    def _place(self, name: str) -> str:
        return "config.yml" if KINDS[name].web else "the command that another plugin or a compose override gives it"

    def _holds(self, name: str) -> bool:
        """Whether an earlier choice stays: memory is never the same twice, and nobody wants a roll for that."""
        return (
            not self._again
            and name in self._record.auto
            and self._record.numbers.get(name) == self._found.services[name].number
            and dict(self._record.basis) == dict(self._found.basis)
        )

    def _refuse_obstacle(self, name: str, one: Service) -> None:
        if one.obstacle:
            raise TutorError(f"The number of workers of {name} cannot be set: {one.obstacle}; leave it at {KEEP}.")

    def _why(self, name: str, numbers: Mapping[str, int]) -> str:
        kind, cores = KINDS[name], self._found.machine.cores
        wish = kind.wish(cores)
        text = f"{kind.per_core:g} a core, {cores} cores, at least {kind.least}: {wish}"
        return text if numbers[name] == wish else f"{text}; memory holds {numbers[name]}"

    def _known_worse(self, numbers: Mapping[str, int]) -> bool:
        """Whether this was tried; what auto chooses is never quite the same, so there the same basis is enough."""
        same = dict(self._record.basis) == dict(self._found.basis)
        return (
            not self._again
            and self._worse is None
            and bool(self._record.worse)
            and all(
                count == self._record.worse.get(name) or (same and name in self._auto)
                for name, count in numbers.items()
            )
        )

    def _stay(self) -> Plan:
        self._find(
            "worse",
            "info",
            "platform",
            f"{listing(self._record.worse)} was measured before and was worse than what is there, which stays.",
            "Set tutor_scale_again to measure it anew.",
        )
        numbers = {name: one.number for name, one in self._found.services.items()}
        self._reasons = dict.fromkeys(numbers, "stays, the other number was measured and worse")
        self._ours = set()
        return self._finished(numbers, self._record)

    def _next_record(self, numbers: Mapping[str, int], chosen: bool) -> Record:
        old = self._record
        kept = {name: old.numbers[name] for name, want in self._wants.items() if want == KEEP and name in old.numbers}
        mine = {
            name: numbers[name] if name in self._ours else kept[name] for name in KINDS if name in {*self._ours, *kept}
        }
        worse = self._worse if self._worse is not None else {} if self._again else old.worse
        by_auto = self._auto | (kept.keys() & set(old.auto))
        record = replace(
            old,
            numbers=mine,
            concurrency={name: count for name, count in mine.items() if self._to_name(name, count)},
            auto=tuple(name for name in KINDS if name in by_auto),
            worse=dict(worse),
        )
        if not mine:
            return Record(basis=dict(self._found.basis) if worse else {}, worse=dict(worse))
        if chosen or mine != old.numbers or self._worse is not None:
            sizes = {name: one.size.worker for name, one in self._found.services.items()}
            record = replace(record, basis=dict(self._found.basis), sizes=sizes)
        return record

    def _to_name(self, name: str, count: int) -> bool:
        """Whether the command has to name a number; one that is Celery's own anyway would be a roll for nothing."""
        one = self._found.services[name]
        return not KINDS[name].web and (one.named is not None or count != one.usual)

    def _finished(self, numbers: dict[str, int], record: Record) -> Plan:
        services = self._found.services
        if self._formula.steady(numbers) > self._found.machine.limit:
            self._find(
                "memory",
                "warning",
                "platform",
                f"The platform takes {size_text(self._formula.steady(numbers))}, and the limit is "
                f"{size_text(self._found.machine.limit)}.",
                "Lower a number, or give the server memory.",
            )
        return Plan(
            numbers=numbers,
            set={
                KINDS[name].setting: numbers[name]
                for name in KINDS
                if KINDS[name].web and name in self._ours and services[name].number != numbers[name]
            },
            unset=[
                KINDS[name].setting
                for name in KINDS
                if KINDS[name].web and self._wants[name] == DEFAULT and services[name].named is not None
            ],
            record=record,
            before={name: self._before(name) for name in KINDS},
            peak=self._formula.peak(numbers),
            findings=self._findings,
            reasons=self._reasons,
        )

    def _before(self, name: str) -> str:
        one = self._found.services[name]
        if one.obstacle or (not KINDS[name].web and self._by_hand(name)):
            return KEEP
        return DEFAULT if one.named is None else str(one.named)

    def _find(self, identity: str, severity: str, subject: str, message: str, cure: str = "") -> None:
        self._findings.append(Finding(f"workers.{identity}", severity, subject, message, cure))


def explanation(found: Found, plan: Plan, reserve: int) -> list[str]:
    """Say line by line what was counted, what follows from it, and what changes."""
    machine = found.machine
    others = ", ".join(
        f"{name} {size_text(need)}" for name, need in sorted(machine.others.items(), key=_by_size) if need >= MIB
    )
    lines = [
        f"limit: {size_text(machine.limit)}, which is {size_text(machine.memory)} of memory less {reserve} % kept free",
        f"others need {size_text(machine.taken)}: {others}",
    ]
    for name, one in found.services.items():
        size = one.size
        lines.append(
            f"{name}: {size.containers} x ({size_text(size.base)} + {size.workers} workers of {size_text(size.worker)})"
        )
    lines.append(f"highest step of the roll: {size_text(plan.peak)} of {size_text(machine.limit)}")
    for name, one in found.services.items():
        before, after = one.size.workers, plan.numbers[name]
        arrow = f"{before} -> {after}" if before != after else f"{after}"
        lines.append(f"{name}: {arrow} ({plan.reasons[name]})")
    return lines


def _by_size(item: tuple[str, int]) -> int:
    return -item[1]
