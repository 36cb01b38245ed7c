# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files of a host, all in one go: each is compared and validated before the first one is put in its place."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HIDDEN = "(not shown)\n"


class FilesError(Exception):
    """Why a file cannot be as it is wanted, as a sentence."""


@dataclass(frozen=True)
class Wanted:
    """One path as it should be."""

    path: Path
    state: str = "file"
    content: bytes = b""
    secret: bool = False
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    replace: bool = True
    validate: str = ""


@dataclass(frozen=True)
class Difference:
    """What is not as it is wanted at one path."""

    wanted: Wanted
    before: str
    after: str
    content: bool
    """Whether there is something else than what is wanted, or nothing, and not only with another owner or mode."""

    def shown(self) -> dict[str, str]:
        """What Ansible shows as diff."""
        path = str(self.wanted.path)
        return {"before_header": path, "after_header": path, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Found:
    """What is there."""

    kind: str
    status: os.stat_result | None = None
    content: bytes = b""

    @classmethod
    def at(cls, path: Path, follow: bool) -> Found:
        """Look; a link counts as what it leads to only where that is wanted."""
        try:
            status = path.stat() if follow else path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return cls("absent")
        if stat.S_ISREG(status.st_mode):
            return cls("file", status, path.read_bytes())
        kinds = {stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
        return cls(kinds.get(stat.S_IFMT(status.st_mode), "special file"), status)


def differences(wanted: Iterable[Wanted]) -> list[Difference]:
    """What would change, in the order that was given; changes nothing."""
    return [found for found in map(_difference, wanted) if found is not None]


def apply(found: Sequence[Difference]) -> None:
    """Make it so. A file that cannot be written or is not valid leaves all files as they were."""
    staged: dict[Path, Path] = {}
    try:
        for one in found:
            if one.wanted.state == "directory":
                _make_directory(one.wanted)
            elif one.wanted.state == "file" and one.content:
                staged[one.wanted.path] = _stage(one.wanted)
        for one in found:
            if one.wanted.state == "absent":
                one.wanted.path.unlink(missing_ok=True)
            elif one.wanted.path in staged:
                _place(staged[one.wanted.path], one.wanted)
            elif one.wanted.state == "file":
                _own(one.wanted.path, one.wanted)
    finally:
        for left in staged.values():
            left.unlink(missing_ok=True)


def _difference(wanted: Wanted) -> Difference | None:
    directory = wanted.state == "directory"
    found = Found.at(wanted.path, follow=directory)
    if wanted.state == "absent":
        if found.kind == "directory":
            raise FilesError(f"{wanted.path} is a directory, which is not removed as a file: remove it by hand.")
        return None if found.status is None else Difference(wanted, _text(wanted, found.content), "", True)
    if found.kind not in (wanted.state, "absent"):
        raise FilesError(f"{wanted.path} is to be a {wanted.state} and is a {found.kind}: move it away.")
    if found.kind == "file" and not wanted.replace:
        return None
    content = found.status is None or found.content != wanted.content
    attributes = [] if found.status is None else _attributes(found.status, wanted)
    if not content and not attributes:
        return None
    before = "".join(f"{name}: {here}\n" for name, here, _ in attributes)
    after = "".join(f"{name}: {there}\n" for name, _, there in attributes)
    if content:
        before += _text(wanted, found.content)
        after += "directory\n" if directory else _text(wanted, wanted.content)
    return Difference(wanted, before, after, content)


def _text(wanted: Wanted, content: bytes) -> str:
    if not content:
        return ""
    return HIDDEN if wanted.secret else content.decode(errors="replace")


def _attributes(status: os.stat_result, wanted: Wanted) -> list[tuple[str, str, str]]:
    """Owner, group and mode that differ: name, as it is, as it is wanted."""
    pairs = [
        ("owner", _user_name(status.st_uid), wanted.owner),
        ("group", _group_name(status.st_gid), wanted.group),
        ("mode", f"{stat.S_IMODE(status.st_mode):04o}", f"{wanted.mode:04o}"),
    ]
    return [(name, here, there) for name, here, there in pairs if there and here != there]


def _user_name(number: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _group_name(number: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)


def _own(path: Path, wanted: Wanted) -> None:
    """Give a path its owner, group and mode."""
    try:
        user = pwd.getpwnam(wanted.owner).pw_uid if wanted.owner else -1
        group = grp.getgrnam(wanted.group).gr_gid if wanted.group else -1
    except KeyError as error:
        raise FilesError(
            f"{wanted.path} is to belong to {wanted.owner}:{wanted.group}, which this host does not have: make them "
            "first, or install the package that does."
        ) from error
    os.chown(path, user, group)
    path.chmod(wanted.mode)


def _make_directory(wanted: Wanted) -> None:
    # Nobody looks into it before it has its owner.
    wanted.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own(wanted.path, wanted)


def _stage(wanted: Wanted) -> Path:
    """Write the new content beside the file, where the programs that validate may read it, and have it validated."""
    try:
        handle, name = tempfile.mkstemp(dir=wanted.path.parent, prefix=f".{wanted.path.name}.")
    except FileNotFoundError as error:
        raise FilesError(f"{wanted.path} cannot be written, because its directory is not there.") from error
    staged = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(wanted.content)
            stream.flush()
            os.fsync(stream.fileno())
        _own(staged, wanted)
        _validate(wanted, staged)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    return staged


def _place(staged: Path, wanted: Wanted) -> None:
    if wanted.replace:
        os.replace(staged, wanted.path)
        return
    # Somebody may have made it since: then it is theirs.
    with contextlib.suppress(FileExistsError):
        os.link(staged, wanted.path)


def _validate(wanted: Wanted, staged: Path) -> None:
    if not wanted.validate:
        return
    command = [word.replace("%s", str(staged)) for word in shlex.split(wanted.validate)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise FilesError(f"{command[0]}, which validates {wanted.path}, cannot be run: {error.strerror}.") from error
    if done.returncode != 0:
        said = " ".join(f"{done.stderr} {done.stdout}".split())[-1000:]
        reason = "" if wanted.secret else f" It says: {said.replace(str(staged), str(wanted.path))}"
        raise FilesError(f"{wanted.path} was left as it was, because {command[0]} refuses what would be in it.{reason}")
