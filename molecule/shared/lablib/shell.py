"""Running commands, Docker's among them, with failures that show what the command said."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Self

from .errors import LabError

_print_lock = threading.Lock()


def say(text: str) -> None:
    """Print one line of progress; threads do not mix theirs."""
    with _print_lock:
        print(text, flush=True)


def run(
    command: Sequence[str],
    *,
    stdin: bytes | IO[bytes] | None = None,
    environment: dict[str, str] | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> str:
    """Run a command and return its standard output; a failure becomes a LabError with the end of what it printed."""
    feed: dict[str, object] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            list(command),
            capture_output=True,
            env={**os.environ, **(environment or {})},
            timeout=timeout,
            check=False,
            **feed,
        )
    except FileNotFoundError as error:
        raise LabError(f"The command {command[0]!r} is missing on this machine.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shlex.join(command)}` did not end within {timeout:.0f} s.") from error
    output = str(done.stdout.decode(errors="replace"))
    if check and done.returncode != 0:
        said = (output + done.stderr.decode(errors="replace")).strip().splitlines()[-25:]
        raise LabError(f"`{shlex.join(command)}` failed with {done.returncode}:\n  " + "\n  ".join(said))
    return output


def succeeds(command: Sequence[str], timeout: float | None = None) -> bool:
    """Whether a command ends with 0; a command that is missing or hangs does not."""
    try:
        ended = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def docker(*arguments: str, stdin: bytes | IO[bytes] | None = None, timeout: float | None = None) -> str:
    """Run the docker client. The classic builder, since Debian's client brings no other."""
    return run(["docker", *arguments], stdin=stdin, environment={"DOCKER_BUILDKIT": "0"}, timeout=timeout)


def inside(host: str, *command: str, user: str = "root", timeout: float | None = None) -> str:
    """Run a command in a host of the lab, with a login shell's environment for that user."""
    return docker("exec", "--user", user, host, "bash", "-lc", shlex.join(command), timeout=timeout)


def wait_until(condition: Callable[[], bool], what: str, seconds: float, pause: float = 0.5) -> None:
    """Ask until the condition holds; give up with a sentence."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"Waited {seconds:.0f} s in vain: {what}.")
        time.sleep(pause)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two labs do not make the same thing at once; it ends with the process at the latest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Stopwatch:
    """Prints how long a step took."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        outcome = "failed after" if kind else "took"
        say(f"{self.what:<44} {outcome} {time.monotonic() - self.started:6.1f} s")
        sys.stdout.flush()
