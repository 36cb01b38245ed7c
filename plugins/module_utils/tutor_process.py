# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tutor command line is started: as whom, in which environment, alone on its root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .tutor_errors import TutorError

_KEPT = ("TUTOR_ROOT", "TUTOR_PLUGINS_ROOT")
_DROPPED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class Owner:
    """The account that a Tutor root belongs to, and that runs Tutor."""

    name: str
    uid: int
    gid: int
    home: Path

    @classmethod
    def of_uid(cls, uid: int) -> Owner:
        """Look an account up by its number."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError as error:
            raise TutorError(
                f"User id {uid} has no account on this host; give the Tutor root to a real user."
            ) from error
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))

    @classmethod
    def named(cls, name: str) -> Owner:
        """Look an account up by its name."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise TutorError(f"User {name} does not exist on this host; correct `owner`.") from error
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))

    def groups(self) -> list[int]:
        """List all groups of the account; membership of docker comes from here."""
        return os.getgrouplist(self.name, self.gid)


@dataclass(frozen=True)
class Result:
    """What one command answered."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def failed_plugins(self) -> dict[str, str]:
        """Plugins that Tutor listed but could not load, with the reason; it goes on without them at rc 0."""
        mark = "Failed to enable plugin '"
        found = {}
        for line in self.stderr.splitlines():
            _before, _mark, rest = line.partition(mark)
            name, quote, reason = rest.partition("'")
            if quote:
                found[name] = reason.removeprefix(":").strip()
        return found

    @property
    def lines(self) -> list[str]:
        """Standard output without the external commands that Tutor echoes before it runs them."""
        return [line for line in self.stdout.splitlines() if line.strip() and not line.startswith("docker compose -f ")]


def find_binary(binary: str | None, owner: Owner, path: str | None = None) -> str:
    """Find the tutor executable: as told, on the PATH, in the owner's folder of programs, or system-wide."""
    if binary:
        if not (os.path.isfile(binary) and os.access(binary, os.X_OK)):
            raise TutorError(f"{binary} is not an executable file; correct `binary` or install Tutor there.")
        return os.path.abspath(binary)
    search = os.environ.get("PATH", "") if path is None else path
    folders = [*search.split(os.pathsep), str(owner.home / ".local" / "bin"), "/usr/local/bin"]
    found = shutil.which("tutor", path=os.pathsep.join(folder for folder in folders if folder))
    if not found:
        raise TutorError(
            f"tutor was not found on the PATH, in {owner.home}/.local/bin or in /usr/local/bin; "
            "install Tutor or name it with `binary`."
        )
    return os.path.abspath(found)


def environment_for(
    owner: Owner, base: Mapping[str, str], root: Path | None, plugins_root: str | None
) -> dict[str, str]:
    """Build Tutor's environment, free of TUTOR_* overrides that it would silently save."""
    kept = {
        name: value
        for name, value in base.items()
        if (not name.startswith("TUTOR_") or name in _KEPT) and name not in _DROPPED
    }
    if owner.uid != os.geteuid():
        kept = {
            name: value
            for name, value in kept.items()
            if not name.startswith(("XDG_", "SUDO_", "DOCKER_CONFIG", "DOCKER_CONTEXT", "TUTOR_"))
        }
    folders = kept.get("PATH", "").split(os.pathsep)
    kept["PATH"] = os.pathsep.join([*filter(None, folders), *(folder for folder in _FOLDERS if folder not in folders)])
    kept.update(HOME=str(owner.home), USER=owner.name, LOGNAME=owner.name, PYTHONUTF8="1", PYTHONIOENCODING="utf-8")
    if root is not None:
        kept["TUTOR_ROOT"] = str(root)
    if plugins_root:
        kept["TUTOR_PLUGINS_ROOT"] = plugins_root
    return kept


def run_as(
    owner: Owner,
    argv: list[str],
    environment: Mapping[str, str],
    directory: Path,
    stdin: str | None = None,
    timeout: float | None = None,
) -> Result:
    """Run a command as an account, without a shell and without a terminal that it could ask for a password."""
    identity: dict[str, object] = {}
    if os.geteuid() == 0 and owner.uid != 0:
        identity = {"user": owner.uid, "group": owner.gid, "extra_groups": owner.groups()}
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=directory,
            umask=0o022,
            start_new_session=True,
            **identity,  # type: ignore[call-overload]
        )
    except OSError as error:
        raise TutorError(f"{argv[0]} cannot be started as user {owner.name}: {error.strerror}.") from error
    try:
        output, errors = process.communicate(None if stdin is None else stdin.encode(), timeout)
    except subprocess.TimeoutExpired as error:
        raise TutorError(f"`{_brief(argv)}` did not end within {timeout:g} s and was stopped.") from error
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return Result(
        tuple(argv),
        process.returncode,
        output.decode(errors="replace"),
        errors.decode(errors="replace"),
        time.monotonic() - started,
    )


def _brief(argv: list[str]) -> str:
    """Name a command without arguments that may be long or secret."""
    return " ".join([os.path.basename(argv[0]), *argv[1:3]])


_held: dict[str, _Holder] = {}
_held_guard = threading.Lock()


class _Holder:
    """The lock of one root in this process: several users in one thread share it, others wait."""

    def __init__(self) -> None:
        self.thread = threading.RLock()
        self.depth = 0
        self.handle = -1


@contextlib.contextmanager
def root_lock(
    root: Path,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the root alone: Tutor truncates config.yml before it writes it, so even a reader must wait.

    The lock is flock(2) on the root directory itself: nothing is left behind, root and the owner can
    both take it, and so can a shell: `flock <root> tutor config save`.
    """
    name = os.path.realpath(root)
    with _held_guard:
        holder = _held.setdefault(name, _Holder())
    if not holder.thread.acquire(timeout=timeout):
        raise TutorError(f"Another thread held the Tutor root {root} for more than {timeout:g} s; try again later.")
    try:
        if holder.depth == 0:
            holder.handle = _flock(Path(name), clock() + timeout, timeout, clock, pause)
        holder.depth += 1
        try:
            yield
        finally:
            holder.depth -= 1
            if holder.depth == 0:
                os.close(holder.handle)
    finally:
        holder.thread.release()


def _flock(
    root: Path, deadline: float, timeout: float, clock: Callable[[], float], pause: Callable[[float], None]
) -> int:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                if clock() >= deadline:
                    raise TutorError(
                        f"The Tutor root {root} was in use for more than {timeout:g} s{_who_holds(handle)}; "
                        "wait for it to end, or raise `lock_timeout`."
                    ) from None
            pause(0.05)
    except BaseException:
        os.close(handle)
        raise


def _who_holds(handle: int) -> str:
    inode = os.fstat(handle).st_ino
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if "FLOCK" in fields and "->" not in fields and fields[5].rsplit(":", 1)[-1] == str(inode):
                program = Path(f"/proc/{int(fields[4])}/comm").read_text(encoding="utf-8").strip()
                return f" by process {fields[4]} ({program})"
    return ""


def wait_until(
    ready: Callable[[], bool],
    timeout: float,
    pause: float = 0.2,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait for a condition; False when it did not come true in time."""
    deadline = clock() + timeout
    while not ready():
        if clock() >= deadline:
            return False
        sleep(pause)
    return True
