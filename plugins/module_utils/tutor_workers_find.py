# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found on an app server before its workers are scaled: definitions, processes, memory."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .roll_state import Instance, parse_instances
from .tutor import Tutor
from .tutor_errors import TutorError
from .tutor_plugin_file import installed_file
from .tutor_workers import KINDS, MIB, Machine, Size
from .tutor_workers_look import PROC, Look, Process, by_service, cores, look, memory, processes
from .tutor_workers_plan import Found, Service
from .tutor_workers_plugin import PLUGIN, Record, read_record

#: The first Tutor with filters for the commands of the workers.
FILTERS_SINCE = (18, 2, 0)
#: A container younger than this has workers that have not grown to their size yet.
YOUNG_SECONDS = 3600.0
#: How long a container may be without a worker: one that ended, or has not begun yet.
FORK_SECONDS = 20.0
#: Workers of uWSGI while config.yml names no number; the same in every supported Tutor.
TUTORS_OWN = 2

_CONCURRENCY = re.compile(r"(?:^|(?<= ))(?:--concurrency[= ]|-c[= ]?)(\d+)(?= |$)")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\Z", re.IGNORECASE)
_UNITS = ("", "K", "M", "G", "T")


@dataclass(frozen=True)
class Policy:
    """What an operator says about memory, in bytes."""

    reserve: int = 20
    """Percent of the memory that stays free: for growth, for the page cache, for jobs."""
    limit: int = 0
    """Memory that counts in all; 0 for what the host has."""
    needs: Mapping[str, int] = field(default_factory=dict)
    """What other services need at least, by name."""
    young: int = 500 * MIB
    """What a worker of a young container counts for at least."""

    def check(self) -> None:
        """Refuse what makes no sense."""
        if not 0 <= self.reserve < 100:
            raise TutorError(f"{self.reserve} % of the memory cannot be kept free; give 0 to 99.")
        own = sorted(self.needs.keys() & KINDS.keys())
        if own:
            raise TutorError(f"The needs of {', '.join(own)} are measured; name only other services.")


def parse_size(text: str) -> int:
    """Read a size such as 512M or 4G, in powers of 1024; a bare number is bytes, nothing is 0."""
    found = _QUANTITY.match(text.strip() or "0")
    if not found:
        raise TutorError(f"{text!r} is no size; give one such as 512M or 4G.")
    return int(float(found.group(1)) * 1024 ** _UNITS.index(found.group(2).upper()))


def concurrency(command: Sequence[str]) -> int | None:
    """Read the concurrency that a command names; the last one counts."""
    found = _CONCURRENCY.findall(" ".join(command))
    return int(found[-1]) if found else None


def obstacle(name: str, version: Sequence[int], command: Sequence[str]) -> str:
    """Say why the number of a service cannot be set; empty when it can."""
    if KINDS[name].web:
        return ""
    if tuple(version) < FILTERS_SINCE:
        return f"Tutor {'.'.join(map(str, version))} has no filter for its command, which came with 18.2"
    if any(word.split("=")[0] == "--autoscale" for word in command):
        return "its command has --autoscale, which Celery obeys instead of a number"
    return ""


class Finder:
    """Looks at one platform; reads only."""

    def __init__(
        self,
        tutor: Tutor,
        policy: Policy,
        proc: Path = PROC,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tutor = tutor
        self._policy = policy
        self._proc = proc
        self._now = now
        self._wait = wait

    def find(self) -> Found:
        """Look at everything."""
        self._policy.check()
        with self._tutor.locked():
            definitions = self._definitions()
            for name in KINDS:
                if name not in definitions:
                    raise TutorError(
                        f"The platform at {self._tutor.root} has no service {name}, so it cannot be scaled."
                    )
            config = self._tutor.user_config()
            usual = self._tutor.values([kind.setting for kind in KINDS.values() if kind.web])
            record = self._record(config)
            instances = self._instances()
        table = self._processes(instances)
        count = cores()
        services = {
            name: self._service(name, instances, table, definitions[name], config, usual, record, count)
            for name in KINDS
        }
        machine = self._machine(instances, table, count)
        basis = {
            "cores": count,
            # Kernels differ by a few pages in what they call all of the memory.
            "limit_gib": round(machine.limit / (1 << 30), 1),
            "needs": dict(self._policy.needs),
            "young": self._policy.young,
        }
        in_force = {
            kind.setting: int(number)
            for name, kind in KINDS.items()
            if kind.web and (number := (definitions[name].get("environment") or {}).get("UWSGI_WORKERS"))
        }
        return Found(machine, services, record, basis, in_force)

    def _definitions(self) -> dict[str, Any]:
        """The services as compose merges them from all files, an operator's overrides included."""
        text = self._tutor.dc("config", "--format", "json").stdout
        start = text.find("\n{") + 1 if not text.startswith("{") else 0
        return dict(json.loads(text[start:])["services"])

    def _record(self, config: Mapping[str, Any]) -> Record:
        if PLUGIN not in (config.get("PLUGINS") or []):
            return Record()
        path = installed_file(self._tutor, PLUGIN)
        return read_record(path.read_text(encoding="utf-8") if path else None)

    def _instances(self) -> list[Instance]:
        ids = [one.id for one in self._tutor.containers() if one.running]
        found = (
            parse_instances(self._tutor.docker("inspect", "--type=container", *ids, check=False).stdout) if ids else []
        )
        return [one for one in found if one.running]

    def _processes(self, instances: Sequence[Instance]) -> list[Process]:
        """The processes of the containers, those of each service that is scaled among them.

        A worker of Celery ends after so many tasks, and until the next one is forked a service may have none.
        """
        scaled = [one for one in instances if one.service in KINDS]
        ends = self._now() + FORK_SECONDS
        while True:
            table = processes({one.id for one in instances}, self._proc)
            if all(look(one, table, self._proc).workers for one in scaled) or self._now() >= ends:
                return table
            self._wait(0.2)

    def _service(
        self,
        name: str,
        instances: Sequence[Instance],
        table: Sequence[Process],
        definition: Mapping[str, Any],
        config: Mapping[str, Any],
        effective: Mapping[str, Any],
        record: Record,
        count: int,
    ) -> Service:
        own = [one for one in instances if one.service == name]
        if not own:
            raise TutorError(
                f"{name} does not run at {self._tutor.root}: start the platform with `tutor local start -d` first."
            )
        command = definition.get("command") or []
        looks = [look(one, table, self._proc) for one in own]
        if KINDS[name].web:
            setting = KINDS[name].setting
            named = _whole(setting, config[setting]) if setting in config else None
            usual = TUTORS_OWN if setting in config else _whole(setting, effective[setting])
        else:
            named, usual = concurrency(command), count
        return Service(
            size=self._size(name, own, looks, record),
            running=tuple(len(one.workers) for one in looks),
            named=named,
            usual=usual,
            obstacle=obstacle(name, self._tutor.version, command),
        )

    def _size(self, name: str, own: Sequence[Instance], looks: Sequence[Look], record: Record) -> Size:
        measured = [size for one in looks for size in one.sizes]
        if not measured:
            raise TutorError(
                f"{name} runs no worker process that could be counted: wait until it has started, see `tutor local "
                f"logs {name}`; a Celery worker has to use the pool prefork."
            )
        young = any(self._now() - one.started < YOUNG_SECONDS for one in own)
        return Size(
            containers=len(own),
            workers=max(len(one.workers) for one in looks),
            base=max(one.rest for one in looks),
            worker=max([*measured, record.sizes.get(name, 0), self._policy.young if young else 0]),
        )

    def _machine(self, instances: Sequence[Instance], table: Sequence[Process], count: int) -> Machine:
        host = memory(self._proc)
        measured = by_service(instances, table)
        others = {name: size for name, size in measured.items() if name not in KINDS}
        outside = max(0, host.total - host.available - sum(measured.values()))
        needs = {name: max(size, self._policy.needs.get(name, 0)) for name, size in others.items()}
        needs.update({name: size for name, size in self._policy.needs.items() if name not in needs})
        total = self._policy.limit or host.total
        return Machine(
            cores=count,
            memory=total,
            limit=total * (100 - self._policy.reserve) // 100,
            others={**needs, "everything outside of the platform": outside},
        )


def _whole(setting: str, value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit() or int(value) < 1:
        raise TutorError(
            f"{setting} is {value!r} in Tutor's configuration, which is no number of workers; correct it there."
        )
    return int(value)
