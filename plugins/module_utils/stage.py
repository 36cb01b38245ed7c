# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one stage of one store on the app server, and recovers what was interrupted.

It runs as a unit of its own, so neither a lost connection nor a dead controller stops it. What it does and what came of
it stands in a file that is replaced in one step, so whoever looks at it finds either the earlier state or the next one.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any

from .cutover import FlipUnfinished, Limits, NoWayBack, other
from .door import StoreDoor
from .edge import EdgeSettings
from .flip_marker import FlipMarker, clear_marker, process_started
from .paths import PATHS, Paths, read_json, remove_file, write_file
from .stage_unit import READING, STAGES, owner_lives
from .store_lock import locked
from .stores import DRIVERS
from .stores.base import CLUSTER, LOCAL, Busy, Store, StoreError

#: How long a step of a flip is stretched, in seconds. Only tests set it, to strike between two steps.
SLOW_MOTION = "TUTOROPS_SLOW_MOTION"

OpenStore = Callable[[str, Paths], Store]


class Stopped(BaseException):
    """The unit was told to stop, at a moment when stopping does no harm."""


@dataclass
class Options:
    """What the operator said about one run of a stage."""

    again: bool = False
    attempts: int = 10
    pause_seconds: float = 3.0
    limits: dict[str, float] = field(default_factory=dict)

    @classmethod
    def take(cls, path: Path) -> Options:
        """Read the request that the controller left, once."""
        found = read_json(path) or {}
        remove_file(path)
        return cls(**{each.name: found[each.name] for each in fields(cls) if found.get(each.name) is not None})


def open_store(name: str, paths: Paths = PATHS) -> Store:
    """The store's driver, with its settings and its door."""
    if name not in DRIVERS:
        raise StoreError(f"there is no driver for a store '{name}', only for {', '.join(sorted(DRIVERS))}")
    settings = store_settings(name, paths)
    module, _, driver = DRIVERS[name].partition(":")
    loaded = importlib.import_module(f".stores.{module}", __package__)
    store: Store = getattr(loaded, driver).from_settings(settings, StoreDoor.open(name, paths))
    return store


def store_settings(name: str, paths: Paths) -> dict[str, Any]:
    """The settings of a store's driver."""
    found = read_json(paths.settings(name))
    if found is None:
        raise StoreError(f"{paths.settings(name)} is missing on the app server: run offload.yml, which writes it")
    return found


def limits_of(given: Mapping[str, Any]) -> Limits:
    """Limits from settings; what they do not name stays at its default."""
    known = {each.name for each in fields(Limits)}
    return Limits(**{name: float(value) for name, value in given.items() if name in known})


def now() -> str:
    """The time, for people and reports."""
    return datetime.now(timezone.utc).isoformat()


class Record:
    """The file that tells what a stage does and what came of it."""

    def __init__(self, path: Path, store: str, stage: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._written = float("-inf")
        self._phase = ""
        self.content: dict[str, Any] = {
            "store": store,
            "stage": stage,
            "ok": None,
            "changed": False,
            "error": None,
            "postponed": False,
            "result": {},
            "progress": {},
            "steps": [],
            "started": now(),
            "ended": None,
            "pid": os.getpid(),
            "process_started": process_started(os.getpid()),
            "invocation": os.environ.get("INVOCATION_ID", ""),
        }
        self._write()

    def progress(self, phase: str, figures: Mapping[str, Any]) -> None:
        """Tell what is going on, five times a second at most within a phase."""
        self.content["progress"] = {"phase": phase, **figures}
        if phase != self._phase or self._clock() - self._written >= 0.2:
            self._phase = phase
            self._write()

    def step(self, step: str) -> None:
        """Tell a step of a flip before it begins."""
        self.content["steps"].append({"step": step, "at": now()})
        self.content["progress"] = {"phase": step}
        self._write()

    def end(self, **outcome: Any) -> dict[str, Any]:
        """Tell what came of it."""
        self.content.update(outcome, ended=now())
        self._write()
        return self.content

    def _write(self) -> None:
        self._written = self._clock()
        write_file(self._path, json.dumps(self.content, default=str) + "\n")


class Signals:
    """SIGTERM and SIGINT stop a stage where that does no harm, and wait for the end of a flip."""

    def __init__(self) -> None:
        self._shielded = 0
        self._asked = False

    def install(self) -> None:
        """Begin to listen."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if not self._shielded:
            raise Stopped

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Go on to the end of this block, and stop only then."""
        self._shielded += 1
        try:
            yield
        finally:
            self._shielded -= 1
        if self._asked and not self._shielded:
            raise Stopped


class Runner:
    """One store's stages."""

    def __init__(
        self,
        name: str,
        paths: Paths = PATHS,
        open_store: OpenStore = open_store,
        wait: Callable[[float], None] = time.sleep,
        signals: Signals | None = None,
        slow_motion: float = 0.0,
    ) -> None:
        self.name = name
        self.paths = paths
        self._open = open_store
        self._wait = wait
        self._signals = signals or Signals()
        self._slow_motion = slow_motion

    def run(self, stage: str, options: Options | None = None) -> dict[str, Any]:
        """Run a stage, and return what its file says in the end."""
        running = self._record_of(stage)
        if owner_lives(running):
            # Its file tells about the run that goes on, so this one leaves it alone.
            return {
                "ok": False,
                "postponed": False,
                "error": f"stage {stage} of store {self.name} runs already on the app server (pid {running['pid']}): "
                "wait for its end",
            }
        record = Record(self.paths.progress(self.name, stage), self.name, stage)
        try:
            asked = options or Options.take(self.paths.request(self.name, stage))
            with contextlib.ExitStack() as stack:
                if stage not in READING:
                    what = f"tutorops stage {self.name} {stage}"
                    stack.enter_context(locked(self.paths.lock(self.name), what, 5.0, self._wait))
                store = self._open(self.name, self.paths)
                if stage not in READING:
                    self._finish(store)
                outcome = getattr(self, f"_{stage}")(store, record, asked)
            return record.end(**{"ok": True, **outcome})
        except Busy as problem:
            return record.end(ok=False, error=str(problem), postponed=True)
        except StoreError as problem:
            return record.end(ok=False, error=str(problem))
        except Stopped:
            return record.end(
                ok=False,
                error=f"stage {stage} of store {self.name} was stopped on the app server: run the same playbook again",
            )
        except Exception as problem:
            traceback.print_exc(file=sys.stderr)
            kind = type(problem).__name__
            return record.end(
                ok=False,
                error=f"stage {stage} of store {self.name} met what it does not expect ({kind}: {problem}); its "
                f"journal on the app server (tutorops-stage@{self.name}:{stage}) has the place",
            )

    def recover(
        self, seconds: float = 600.0, pause: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> str | None:
        """Finish or undo an interrupted flip; return the end that serves, or None when nothing was interrupted."""
        if FlipMarker.read(self.paths.flip(self.name)) is None:
            self._bury()
            return None
        ends = clock() + seconds
        while True:
            try:
                # For one try at a time: a stage that wants to go on does the same, and says better why it cannot.
                with locked(self.paths.lock(self.name), f"tutorops recover {self.name}", 5.0, self._wait):
                    serving = self._finish(self._open(self.name, self.paths))
                    self._bury(serving)
                    return serving
            except Exception as problem:
                # Containers and clusters may still be booting.
                if clock() >= ends:
                    raise StoreError(
                        f"the interrupted flip of store {self.name} cannot be settled yet ({problem}): mend it, then "
                        "run recover.yml"
                    ) from problem
                print(f"store {self.name}: {problem}; trying again", flush=True)
                self._wait(pause)

    def look(self) -> dict[str, Any]:
        """Where the store stands, without leaving a file."""
        try:
            return {"error": None, "result": self.stands(self._open(self.name, self.paths))}
        except Exception as problem:
            return {"error": f"store {self.name} cannot be asked: {problem}", "result": {}}

    # stages

    def _plan(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        findings = store.plan()
        blockers = [each for each in findings if each.blocks]
        result = {"findings": [each.as_dict() for each in findings], "blocked": bool(blockers)}
        return {"result": result}

    def _status(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        return {"result": self.stands(store)}

    def _prepare(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        outcome = store.prepare(record.progress)
        return {"changed": bool(outcome.get("changed")), "result": outcome}

    def _follow(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        result = store.follow(record.progress)
        return {"result": result, "changed": bool(result.get("changed", True))}

    def _compare(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        comparison = store.compare(record.progress)
        result = {**comparison.as_dict(), "serving": store.door.pointer(), "at": now()}
        self._keep("compare", result)
        if comparison.equal:
            return {"result": result}
        first = comparison.differences[0]
        return {
            "ok": False,
            "result": result,
            "error": f"the ends of store {self.name} differ in {len(comparison.differences)} place(s), the first is "
            f"{first.where}: {first.detail}; nothing has been flipped",
        }

    def _cutover(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        returned = read_json(self.paths.returned(self.name))
        if store.door.pointer() == LOCAL and returned is not None and not options.again:
            raise StoreError(
                f"store {self.name} was rolled back on purpose at {returned.get('at')}: it stays on the local end "
                "until you set offload_again=true"
            )
        outcome = self._flip(store, record, options, "cutover", CLUSTER)
        remove_file(self.paths.returned(self.name))
        return outcome

    def _rollback(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        return self._flip(store, record, options, "rollback", LOCAL)

    def _commit(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        if store.door.pointer() != CLUSTER:
            raise StoreError(
                f"store {self.name} is served by its local end: there is nothing to commit before the cutover"
            )
        before = store.status().get("stage")
        store.commit()
        return {"changed": before != "committed", "result": store.status()}

    def _detach(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        if store.door.pointer() != LOCAL:
            raise StoreError(
                f"store {self.name} is served by its cluster, so it cannot be detached: run rollback.yml first, unless "
                "it is committed, which has no way back"
            )
        return {"changed": store.detach(), "result": {"serving": LOCAL}}

    def _restore(self, store: Store, record: Record, options: Options) -> dict[str, Any]:
        if store.door.pointer() != LOCAL:
            raise StoreError(f"store {self.name} is served by its cluster, so its local end cannot be as it was found")
        outcome = store.restore(record.progress)
        return {"changed": bool(outcome.get("changed")), "result": outcome}

    # parts

    def _flip(self, store: Store, record: Record, options: Options, stage: str, taking: str) -> dict[str, Any]:
        if store.door.pointer() == taking:
            # Also where the run that moved it was never heard of again: how it went is kept.
            return {"result": {"serving": taking, "flip": self._last_flip(taking)}}
        limits = limits_of({**store_settings(self.name, self.paths).get("limits", {}), **options.limits})
        begun = time.monotonic()

        def step(name: str) -> None:
            record.step(name)
            if self._slow_motion:
                self._wait(self._slow_motion)

        for attempt in range(1, options.attempts + 1):
            store.ready()
            record.progress("ready", {"attempt": attempt, "attempts": options.attempts})
            with self._signals.shield():
                bound = time.time() + limits.hold_seconds + limits.release_seconds
                FlipMarker.mine(stage, other(taking), taking, bound).write(self.paths.flip(self.name))
                try:
                    done = store.move(taking, limits, step)
                except FlipUnfinished:
                    # The marker stays: recovery goes on from it.
                    raise
                except Busy as problem:
                    clear_marker(self.paths.flip(self.name))
                    if attempt == options.attempts:
                        raise
                    record.progress("postponed", {"attempt": attempt, "reason": str(problem)})
                except StoreError:
                    clear_marker(self.paths.flip(self.name))
                    raise
                else:
                    result = {"serving": done.serving, "flip": done.as_dict(), "attempts": attempt}
                    result["seconds"] = round(time.monotonic() - begun, 3)
                    self._keep("last_flip", {**done.as_dict(), "at": now()})
                    if done.problem:
                        return {"ok": False, "changed": True, "error": done.problem, "result": result}
                    self._settled(stage, done.serving)
                    return {"changed": True, "result": result}
            self._wait(options.pause_seconds)
        raise AssertionError("unreachable")

    def _finish(self, store: Store) -> str | None:
        """Settle a flip that an earlier process left; the caller has the lock."""
        marker = FlipMarker.read(self.paths.flip(self.name))
        if marker is None:
            return None
        limits = limits_of(store_settings(self.name, self.paths).get("limits", {}))
        with self._signals.shield():
            try:
                serving = store.settle(limits)
            except NoWayBack as problem:
                print(f"store {self.name}: {problem}", flush=True)
                raise
            self._settled(marker.stage, serving)
        return serving

    def _settled(self, stage: str, serving: str) -> None:
        """Keep that a rollback was on purpose, and forget the flip."""
        if stage == "rollback" and serving == LOCAL:
            self._keep("returned", {"at": now()})
        clear_marker(self.paths.flip(self.name))

    def _last_flip(self, serving: str) -> dict[str, Any] | None:
        found = read_json(self._kept("last_flip"))
        return found if found is not None and found.get("serving") == serving else None

    def _kept(self, what: str) -> Path:
        return self.paths.var / self.name / f"{what}.json"

    def _keep(self, what: str, content: Mapping[str, Any]) -> None:
        path = self._kept(what)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, json.dumps(content, default=str) + "\n", durable=True)

    def _bury(self, serving: str | None = None) -> None:
        """Give a stage whose process died its end, so that nobody waits for it."""
        for stage in STAGES:
            found = self._record_of(stage)
            if not found or found.get("ended") or owner_lives(found):
                continue
            after = f"; the flip was settled, the {serving} end serves" if serving else ""
            error = (
                f"the process of stage {stage} of store {self.name} died on the app server{after}: run the same "
                "playbook again"
            )
            path = self.paths.progress(self.name, stage)
            write_file(path, json.dumps({**found, "ok": False, "error": error, "ended": now()}) + "\n")

    def _record_of(self, stage: str) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            return read_json(self.paths.progress(self.name, stage)) or {}
        return {}

    def stands(self, store: Store) -> dict[str, Any]:
        """Where the store stands: what its driver says, and what the runner knows."""
        known = {
            "pointer": store.door.pointer(),
            "connections": store.door.connections(),
            "held": store.door.held() if isinstance(store.door, StoreDoor) else False,
            "flip_under_way": FlipMarker.read(self.paths.flip(self.name)) is not None,
            "returned": read_json(self.paths.returned(self.name)),
            "last_comparison": read_json(self._kept("compare")),
        }
        return {**known, **store.status()}


def known_stores(paths: Paths = PATHS) -> list[str]:
    """The stores that the edge serves and that have settings here."""
    return [name for name in EdgeSettings.load(paths).stores if name in DRIVERS and paths.settings(name).exists()]


def slow_motion(environment: Mapping[str, str] = os.environ) -> float:
    """The seconds by which tests stretch a step."""
    return float(environment.get(SLOW_MOTION) or 0.0)
