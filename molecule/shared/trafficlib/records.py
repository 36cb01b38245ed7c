"""The folder of a run. Requests and marks are appended line by line, so a client that is killed leaves them behind."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from .clock import now
from .errors import TrafficError
from .mix import WRITE


@dataclass(frozen=True)
class Run:
    """What was chosen when a run began."""

    target: str
    rate: float
    stores: tuple[str, ...]
    timeout: float
    prefix: str
    started: float


@dataclass
class Request:
    """One request; without ``ended`` it is, or was when the client died, still in flight."""

    number: int
    action: str
    store: str
    key: str
    scheduled: float
    started: float
    ended: float | None = None
    status: int | None = None
    error: str | None = None
    #: Of the session that a login began.
    cookie: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the one right answer came."""
        return self.status == (201 if self.action == WRITE else 200)

    @property
    def failed(self) -> bool:
        """Whether it is over, and the right answer did not come."""
        return self.ended is not None and not self.succeeded

    def latency(self, until: float) -> float:
        """Seconds since it was due, not since it was sent: a stalled client or server hides nothing."""
        return (self.ended or until) - self.scheduled


@dataclass(frozen=True)
class Mark:
    """The moment when something began, such as a stage of a playbook."""

    time: float
    label: str


class Records:
    """What a run leaves in its folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._run = directory / "run.json"
        self._requests = directory / "requests.jsonl"
        self._marks = directory / "marks.jsonl"
        self._result = directory / "traffic.json"
        #: Locked, and holding the process id, while a run is under way; the kernel unlocks it for a client that dies.
        self._lock = directory / "lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from running into the same folder."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise TrafficError(
                    f"a run into {self.directory} is under way: stop it, or give --output another folder"
                ) from problem
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def runner(self) -> int | None:
        """The process id of the run that is under way."""
        if not self._lock.exists():
            return None
        with self._lock.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
        return None

    def wait_over(self) -> None:
        """Return when no run is under way any more."""
        if self._lock.exists():
            with self._lock.open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH)

    def begin(self, run: Run) -> None:
        """Start the records of a run, in place of those of an earlier one."""
        for path in (self._result, self._marks, self._requests):
            path.unlink(missing_ok=True)
        self._run.write_text(json.dumps(asdict(run), indent=2) + "\n", encoding="utf-8")
        self._requests.touch()

    def run(self) -> Run:
        """What was chosen when the run began."""
        try:
            found = json.loads(self._run.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError) as problem:
            raise TrafficError(f"{self.directory} holds no run: give --output the folder of one") from problem
        return Run(**{**found, "stores": tuple(found["stores"])})

    def journal(self) -> Journal:
        """Where the requests of the run are appended."""
        return Journal(self._requests)

    def mark(self, label: str) -> None:
        """Note that something begins now."""
        self.run()
        with self._marks.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": now(), "label": label}) + "\n")

    def marks(self) -> list[Mark]:
        """All marks in the order of their time."""
        return sorted((Mark(**one) for one in _lines(self._marks)), key=lambda mark: mark.time)

    def requests(self) -> list[Request]:
        """All requests: each was noted when it was sent, and again when it was over."""
        found: dict[int, dict[str, Any]] = {}
        for one in _lines(self._requests):
            found.setdefault(one["number"], {}).update(one)
        return [Request(**one) for one in found.values()]

    def save_result(self, result: dict[str, Any]) -> None:
        """Replace traffic.json as a whole."""
        draft = self._result.with_suffix(".new")
        draft.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, self._result)

    def result(self) -> dict[str, Any] | None:
        """What the last audit saved."""
        if not self._result.exists():
            return None
        found: dict[str, Any] = json.loads(self._result.read_text(encoding="utf-8"))
        return found


class Journal:
    """Appends requests; each line is handed to the kernel at once, so it outlives this process."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", buffering=1, encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def sent(self, request: Request) -> None:
        """Note a request before its first byte goes out."""
        names = ("number", "action", "store", "key", "scheduled", "started")
        self._append({name: getattr(request, name) for name in names})

    def over(self, request: Request) -> None:
        """Note how a request ended."""
        self._append({name: getattr(request, name) for name in ("number", "ended", "status", "error", "cookie")})

    def _append(self, fields: dict[str, Any]) -> None:
        self._file.write(json.dumps(fields) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records in a file, but for a last one that a kill cut short."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
