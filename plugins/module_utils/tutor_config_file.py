# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tutor's config.yml: what it can hold, how wanted changes are applied to it, how it is written without risk."""

from __future__ import annotations

import contextlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

try:
    import yaml
except ImportError:  # pragma: no cover - modules go on under Tutor's Python, others are told
    yaml = None  # type: ignore[assignment,unused-ignore]

from .tutor_errors import TutorError

HAS_YAML = yaml is not None

_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_TEMPLATE_MARKS = ("{{", "{%", "{#")

# Tutor converts these when it loads a file, so they never arrive under the name that was written.
RENAMED_KEYS = {
    "MYSQL_PASSWORD": "MYSQL_ROOT_PASSWORD and OPENEDX_MYSQL_PASSWORD",
    "MYSQL_DATABASE": "OPENEDX_MYSQL_DATABASE",
    "MYSQL_USERNAME": "OPENEDX_MYSQL_USERNAME",
    "SECRET_KEY": "OPENEDX_SECRET_KEY",
    "WEB_PROXY": "ENABLE_WEB_PROXY",
    "RUN_CADDY": "ENABLE_WEB_PROXY",
    "NGINX_HTTP_PORT": "CADDY_HTTP_PORT",
    "ACTIVATE_HTTPS": "ENABLE_HTTPS",
    "ACTIVATE_LMS": "RUN_LMS",
    "ACTIVATE_CMS": "RUN_CMS",
    "ACTIVATE_MONGODB": "RUN_MONGODB",
    "ACTIVATE_MYSQL": "RUN_MYSQL",
    "ACTIVATE_REDIS": "RUN_REDIS",
    "ACTIVATE_SMTP": "RUN_SMTP",
    "RUN_NOTES": "the plugin notes",
    "RUN_XQUEUE": "the plugin xqueue",
}


@dataclass(frozen=True)
class ConfigChange:
    """What an operator wants to be different in config.yml."""

    set: Mapping[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    append: Mapping[str, list[Any]] = field(default_factory=dict)
    remove: Mapping[str, list[Any]] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what Tutor cannot hold, before anything is read or written."""
        names = [*self.set, *self.unset, *self.append, *self.remove]
        for name in names:
            check_key(name)
        for name in set(self.unset) & {*self.set, *self.append, *self.remove}:
            raise TutorError(f"{name} is to be unset and changed in one call; keep one of the two.")
        for name in set(self.set) & {*self.append, *self.remove}:
            raise TutorError(
                f"{name} is to be set as a whole and changed item by item in one call; keep one of the two."
            )
        for name, value in [*self.set.items(), *self.append.items()]:
            reason = unholdable(value)
            if reason:
                raise TutorError(f"Tutor cannot hold the value given for {name}: {reason}.")

    def apply(self, before: Mapping[str, Any], default: Callable[[str], Any]) -> dict[str, Any]:
        """Work out the wanted configuration; `default` gives the value of a key that is not in the file."""
        wanted = deepcopy(dict(before))
        wanted.update(deepcopy(dict(self.set)))
        for name, items in self.append.items():
            values = self._list(wanted, name, default)
            values += [item for item in items if not any(same(item, value) for value in values)]
        for name, items in self.remove.items():
            present = self._list(wanted, name, default)
            kept = [value for value in present if not any(same(item, value) for item in items)]
            if len(kept) != len(present) or name in before or name in self.append:
                wanted[name] = kept
            else:
                del wanted[name]
        for name in self.unset:
            wanted.pop(name, None)
        return wanted

    @staticmethod
    def _list(wanted: dict[str, Any], name: str, default: Callable[[str], Any]) -> list[Any]:
        if name not in wanted:
            wanted[name] = deepcopy(default(name))
        values = wanted[name]
        if not isinstance(values, list):
            raise TutorError(
                f"{name} holds a {type(values).__name__}, not a list, so items cannot be added or removed; use `set`."
            )
        return values


def check_key(name: str) -> None:
    """Refuse a name that cannot be a setting of Tutor, or that must be changed in another way."""
    if not isinstance(name, str) or not _KEY.match(name):
        raise TutorError(f"{name!r} is not a name that Tutor accepts; use letters, digits and underscores only.")
    if name in RENAMED_KEYS:
        raise TutorError(f"Tutor renames {name} as soon as it reads it; use {RENAMED_KEYS[name]} instead.")
    if name == "PLUGINS":
        raise TutorError(
            "PLUGINS cannot be edited as a setting, because Tutor drops plugins that it cannot load; "
            "use the module tutorops.scale.tutor_plugin."
        )


def unholdable(value: Any) -> str | None:
    """Say why config.yml cannot carry this value through Tutor unchanged; None when it can."""
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else "it is not a finite number"
    if isinstance(value, str):
        return _unholdable_text(value)
    if isinstance(value, (list, tuple)):
        return next((reason for reason in map(unholdable, value) if reason), None)
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            return "a mapping in it has names that are not text"
        return next((reason for reason in map(unholdable, value.values()) if reason), None)
    return f"it is a {type(value).__name__}, and only text, numbers, booleans, null, lists and mappings fit"


def _unholdable_text(value: str) -> str | None:
    for mark in _TEMPLATE_MARKS:
        if mark in value:
            return f"it contains `{mark}`, which Tutor would run as a template; choose a value without it"
    if "\r" in value:
        return "it contains a carriage return, which Tutor turns into a line feed; use line feeds only"
    if value.endswith("\n"):
        return "it ends with a line feed, which Tutor cuts off; remove the last one"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "it contains half of a surrogate pair, which is not text in UTF-8"
    if "\ufeff" in value or any(ord(character) < 32 and character not in "\t\n" for character in value):
        return "it contains a control character, which the files rendered from it cannot carry"
    return None


def same(left: Any, right: Any) -> bool:
    """Compare two values with their types, so that true is not 1 and 1 is not 1.0."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def parse(text: str, where: Path | str) -> dict[str, Any]:
    """Parse the text of a config.yml."""
    _need_yaml()
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = f" at line {line + 1}" if line is not None else ""
        raise TutorError(f"{where} is not valid YAML{place}; repair it or restore one of its backups.") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise TutorError(f"{where} is not a mapping of settings; repair it or restore one of its backups.")
    return loaded


def parse_documents(text: str) -> list[Any]:
    """Parse the documents of rendered manifests."""
    _need_yaml()
    return [document for document in yaml.safe_load_all(text) if document is not None]


def dump(config: Mapping[str, Any]) -> str:
    """Write a configuration as Tutor itself would, so that its next save changes no byte."""
    _need_yaml()
    return str(yaml.safe_dump(dict(config), default_flow_style=False, allow_unicode=True))


def _need_yaml() -> None:
    if yaml is None:
        raise TutorError("Python's YAML library is missing for this interpreter; install the package python3-yaml.")


def write_atomic(path: Path, content: bytes, uid: int, gid: int, mode: int) -> None:
    """Replace a file in one step, on disk when it returns, with this owner and mode."""
    target = Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def back_up(path: Path, keep: int, now: datetime, uid: int, gid: int) -> Path | None:
    """Copy a file beside itself, readable by its owner only, and keep the newest `keep` copies."""
    if keep < 1:
        return None
    backup = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S.%fZ}.bak")
    write_atomic(backup, path.read_bytes(), uid, gid, 0o600)
    for old in sorted(path.parent.glob(f"{path.name}.*Z.bak"))[:-keep]:
        old.unlink(missing_ok=True)
    return backup
