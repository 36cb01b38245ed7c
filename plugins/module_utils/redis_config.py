# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings in a file that Redis or a Sentinel writes, too, and in the server that runs.

A failover makes Redis write its own file anew. So the file is not a template: each setting that is wanted is put there,
and all others, such as whom it follows, are left alone. A server that runs is told first; only what it cannot take over
while it runs asks for a restart.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .redis_client import RedisError
from .redis_host import MARK
from .redis_info import pairs

#: A setting's value; a list for one that may stand more than once.
Settings = Mapping[str, str | Sequence[str]]

_SIZE = re.compile(r"(\d+)(b|k|kb|m|mb|g|gb)?$")
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
#: What Redis says of a setting that only its start reads.
_IMMUTABLE = ("immutable", "can't be set", "Unsupported CONFIG", "Unknown option")


class Server(Protocol):
    """What can be asked and told; a connection."""

    def call(self, *words: str | bytes | int | float) -> object:
        """The answer to a command."""


@dataclass
class Told:
    """What came of telling a server."""

    changed: list[str] = field(default_factory=list)
    restart_needed: list[str] = field(default_factory=list)


def merge(text: str, wanted: Settings, first: Settings | None = None) -> str:
    """The file with the settings that are wanted.

    A file that does not bear the role's mark is a package's example: it is replaced, and ``first`` is what only then is
    put in.
    """
    if MARK not in text:
        lines = [MARK, "# Redis writes this file, too, as after a failover: what the role does not set is left alone."]
        return "\n".join([*lines, *_written({**(first or {}), **wanted})]) + "\n"
    found = _found(text)
    stays = {name for name, value in wanted.items() if _as_wanted(found.get(name, []), value)}
    kept: list[str] = []
    missing = {name: value for name, value in wanted.items() if name not in stays}
    for line in text.splitlines():
        name, _ = parse(line)
        if name not in wanted or name in stays:
            kept.append(line)
        elif name in missing:
            # The other lines of a setting that stands more than once follow with the first one.
            kept += [_line(name, each) for each in _values(missing.pop(name))]
    kept += _written(missing)
    return "\n".join(kept) + "\n"


def differing(text: str, wanted: Settings) -> list[str]:
    """The settings that a file does not have as they are wanted."""
    found = _found(text)
    return [name for name, value in wanted.items() if not _as_wanted(found.get(name, []), value)]


def tell(server: Server, wanted: Settings, dry: bool = False) -> Told:
    """Have a server that runs take over what is wanted."""
    done = Told()
    for name, value in wanted.items():
        if isinstance(value, str):
            in_force = pairs(server.call("CONFIG", "GET", name)).get(name)  # type: ignore[arg-type]
            if in_force is None or same(in_force, value):
                continue
            if not dry:
                try:
                    server.call("CONFIG", "SET", name, value)
                except RedisError as problem:
                    if not any(word in str(problem) for word in _IMMUTABLE):
                        raise
                    done.restart_needed.append(name)
                    continue
            done.changed.append(name)
    return done


def parse(line: str) -> tuple[str, str]:
    """Name and value of a line; empty for a comment. A Sentinel's settings have names of two words."""
    try:
        words = shlex.split(line, comments=False)
    except ValueError:
        return "", ""
    if not words or words[0].startswith("#"):
        return "", ""
    length = 2 if words[0].lower() == "sentinel" and len(words) > 2 else 1
    return " ".join(words[:length]).lower(), " ".join(words[length:])


def same(one: str, other: str) -> bool:
    """Whether two values mean the same."""
    return normal(one) == normal(other)


def normal(value: str) -> str:
    """A value in one form: sizes in bytes, single spaces."""
    text = " ".join(value.split())
    size = _SIZE.match(text.lower())
    return str(int(size[1]) * _UNITS[size[2] or ""]) if size else text


def _found(text: str) -> dict[str, list[str]]:
    """What stands in a file, by its name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, value = parse(line)
        if name:
            found.setdefault(name, []).append(value)
    return found


def _as_wanted(found: Sequence[str], value: str | Sequence[str]) -> bool:
    """Whether the lines of a setting say what is wanted. Redis breaks what it keeps in one, as `save`, into several."""
    if isinstance(value, str):
        return bool(found) and same(" ".join(found), value)
    return sorted(map(normal, found)) == sorted(map(normal, value))


def _values(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _written(settings: Settings) -> list[str]:
    return [_line(name, each) for name, value in settings.items() for each in _values(value)]


def _line(name: str, value: str) -> str:
    quoted = value if value and not re.search(r"[\"'\\#\x00-\x1f]", value) else '"' + _escaped(value) + '"'
    return f"{name} {quoted}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def acl_differs(text: str, in_force: Sequence[str]) -> bool:
    """Whether the users of a file are not those that a server has."""
    return _users(text.splitlines()) != _users(in_force)


def _users(lines: Sequence[str]) -> dict[str, frozenset[str]]:
    found = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["user"] and len(words) > 1:
            rules = {_ALIASES.get(word, word) for word in words[2:]} - _IMPLIED
            found[words[1]] = frozenset(rules)
    return found


_ALIASES = {"allkeys": "~*", "allchannels": "&*", "allcommands": "+@all"}
#: What servers say of a user without its being in the file, or the other way round.
_IMPLIED = frozenset({"sanitize-payload", "resetchannels", "resetkeys", "resetpass", "-@all", "nocommands", "reset"})
