# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many worker processes a server can carry: the formula, and nothing but the formula.

A service takes ``base + workers x size`` bytes in each of its containers. A rolling restart has, for a while, one
container more of the service that it is at, so what must fit is the highest step of the roll from the present numbers
to the new ones, on top of what everything else on the host needs:

    others + max over steps (the four services at that step + one more container of the rolled one)  <=  limit

``auto`` starts from the cores, takes processes away, always where most of the wish is fulfilled, until that holds, and
gives back what still fits, to the LMS first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .tutor_errors import TutorError

MIB = 1 << 20
#: A number beyond every machine; it bounds the search for the largest one that fits.
_MOST = 4096


@dataclass(frozen=True)
class Kind:
    """What is the same for a service on every platform."""

    setting: str
    """The setting of Tutor, or the filter where there is no setting."""
    per_core: float
    """Processes per core that `auto` wishes for."""
    least: int
    """What `auto` wishes for on the smallest machine."""

    @property
    def web(self) -> bool:
        """Whether uWSGI serves requests there, rather than Celery tasks."""
        return not self.setting.endswith("_COMMAND")

    def wish(self, cores: int) -> int:
        """How many processes `auto` would have on so many cores."""
        return max(self.least, round(self.per_core * cores))


#: The services in the order in which they are rolled. A web worker waits for stores half of its time, hence two per
#: core; Studio has fewer users; tasks of the LMS get what Celery takes by default, one per core, those of Studio half.
KINDS: Mapping[str, Kind] = {
    "lms": Kind("OPENEDX_LMS_UWSGI_WORKERS", 2.0, 2),
    "cms": Kind("OPENEDX_CMS_UWSGI_WORKERS", 1.0, 2),
    "lms-worker": Kind("LMS_WORKER_COMMAND", 1.0, 1),
    "cms-worker": Kind("CMS_WORKER_COMMAND", 0.5, 1),
}

Numbers = Mapping[str, int]


@dataclass(frozen=True)
class Size:
    """What a service takes now: numbers are per container, sizes in bytes."""

    containers: int
    workers: int
    base: int
    worker: int

    def of(self, workers: int) -> int:
        """Memory of one container with so many workers."""
        return self.base + workers * self.worker


@dataclass(frozen=True)
class Machine:
    """What the server has, and what everything but the four services needs of it, in bytes."""

    cores: int
    memory: int
    limit: int
    others: Mapping[str, int]

    @property
    def taken(self) -> int:
        """The needs of all others together."""
        return sum(self.others.values())


class Formula:
    """Judges numbers of workers on one machine."""

    def __init__(self, machine: Machine, sizes: Mapping[str, Size]) -> None:
        self.machine = machine
        self.sizes = sizes

    def now(self) -> dict[str, int]:
        """The present numbers."""
        return {name: size.workers for name, size in self.sizes.items()}

    def steady(self, numbers: Numbers) -> int:
        """Memory in use once the numbers are in force."""
        return self.machine.taken + sum(
            size.containers * size.of(numbers.get(name, size.workers)) for name, size in self.sizes.items()
        )

    def peak(self, numbers: Numbers) -> int:
        """The most memory in use on the way from the present numbers to these, and afterwards."""
        return max([self.steady(numbers), *self._steps(numbers)])

    def _steps(self, numbers: Numbers) -> Iterator[int]:
        """Memory while each container of each service that changes has its successor beside it."""
        reached = self.now()
        for name in [one for one in KINDS if one in self.sizes]:
            size, wanted = self.sizes[name], numbers.get(name, self.sizes[name].workers)
            if wanted == size.workers:
                continue
            rest = self.steady(reached) - size.containers * size.of(size.workers)
            for done in range(size.containers):
                kept = (size.containers - done) * size.of(size.workers)
                yield rest + kept + (done + 1) * size.of(wanted)
            reached[name] = wanted

    def fits(self, numbers: Numbers) -> bool:
        """Whether memory holds these numbers and the way to them."""
        return self.peak(numbers) <= self.machine.limit

    def grows(self, numbers: Numbers) -> bool:
        """Whether any service would get more workers than it has."""
        return any(count > self.sizes[name].workers for name, count in numbers.items())

    def largest(self, name: str, numbers: Numbers) -> int:
        """The largest number for one service that fits beside the others' numbers; 0 when none does."""
        low, high = 0, _MOST
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits({**numbers, name: middle}) else (low, middle - 1)
        return low

    def choose(self, fixed: Numbers, free: Sequence[str]) -> dict[str, int]:
        """Give numbers to the free services, from the cores down to what memory holds beside the fixed ones."""
        wish = {name: KINDS[name].wish(self.machine.cores) for name in free}
        numbers = {**fixed, **wish}
        while not self.fits(numbers):
            spare = [name for name in free if numbers[name] > 1]
            if not spare:
                break
            # Ties go to what learners notice least.
            fullest = max(reversed(spare), key=lambda name: numbers[name] / wish[name])
            numbers[fullest] -= 1
        for name in free:
            while numbers[name] < wish[name] and self.fits({**numbers, name: numbers[name] + 1}):
                numbers[name] += 1
        return numbers

    def refuse(self, numbers: Numbers, asked: Sequence[str], free: Sequence[str]) -> None:
        """Refuse numbers past what memory holds, each with the largest that it holds; shrinking is always possible."""
        if self.fits(numbers) or not self.grows(numbers):
            return
        peak, limit = size_text(self.peak(numbers)), size_text(self.machine.limit)
        reason = f"that takes {peak} while the platform is rolled, and the limit is {limit}"
        least = {**numbers, **{name: min(1, numbers[name]) for name in free}}
        possible = [
            f"{name} at most {self.largest(name, least)}" for name in asked if numbers[name] > self.sizes[name].workers
        ]
        if possible:
            raise TutorError(
                f"This server cannot carry {listing({name: numbers[name] for name in asked})}: {reason}; possible is, "
                f"with the other numbers as they are, {', '.join(possible)}."
            )
        raise TutorError(
            f"This server cannot carry even {listing(numbers)}: {reason}; give it memory, or move a store to a host of "
            "its own first."
        )


def listing(numbers: Numbers) -> str:
    """Write numbers of workers in a sentence."""
    return ", ".join(f"{name} {count}" for name, count in numbers.items())


def size_text(size: int) -> str:
    """Write a size for a person."""
    return f"{size / 1024 / MIB:.1f} GiB" if size >= 10 * 1024 * MIB else f"{round(size / MIB)} MiB"
