# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tutor plugins: what a single-file plugin must be, and how a plugin comes into the state that is wanted."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from .tutor import Tutor, TutorError
from .tutor_config_file import parse, write_atomic
from .tutor_stage import Outcome, converge

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_FORMATS = ("py", "yml")


@dataclass(frozen=True)
class PluginFile:
    """A single-file plugin that is to be installed."""

    name: str
    format: str
    content: str

    @property
    def file_name(self) -> str:
        """Name of the file in the plugins root."""
        return f"{self.name}.{self.format}"

    def check(self) -> None:
        """Refuse what cannot be a plugin; a malformed YAML one would break every tutor command."""
        if self.format == "py":
            try:
                ast.parse(self.content)
            except (SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None)
                place = f" at line {line}" if line else ""
                raise TutorError(f"The plugin {self.name} is not valid Python{place}; correct the file.") from error
            return
        loaded = parse(self.content, f"The plugin {self.file_name}")
        for key in ("name", "version"):
            if not loaded.get(key):
                raise TutorError(f"The plugin {self.file_name} has no `{key}`, which Tutor wants; add it to the file.")
        if loaded["name"] != self.name:
            raise TutorError(
                f"The plugin {self.file_name} calls itself {loaded['name']}; give file and plugin the same name."
            )

    def install(self, target: Tutor) -> None:
        """Put the file in place, whole or not at all."""
        folder = target.plugins_root
        if not folder.is_dir():
            _make_folder(target, folder)
        other = folder / f"{self.name}.{_FORMATS[self.format == 'py']}"
        content = self.content.encode()
        path = folder / self.file_name
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content, target.owner.uid, target.owner.gid, 0o644)
        other.unlink(missing_ok=True)


def _make_folder(target: Tutor, folder: Path) -> None:
    missing = [path for path in [folder, *folder.parents] if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o755)
        target.give(path)


def read_source(name: str, path: str) -> PluginFile:
    """Read a plugin from a file on this host."""
    source = Path(path)
    if source.suffix not in (".py", ".yml"):
        raise TutorError(f"{path} cannot be a plugin, because its name ends neither in .py nor in .yml; correct `src`.")
    try:
        return PluginFile(name, source.suffix[1:], source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise TutorError(f"The plugin file {path} cannot be read: {reason}; correct `src`.") from error


def installed_file(tutor: Tutor, name: str) -> Path | None:
    """Find the file of a single-file plugin; None for one that is a Python package or not there."""
    for form in _FORMATS:
        path = tutor.plugins_root / f"{name}.{form}"
        if path.is_file():
            return path
    return None


def bring_to(
    tutor: Tutor,
    name: str,
    state: str,
    file: PluginFile | None,
    *,
    keep_config: bool,
    check_mode: bool,
    backups: int,
) -> Outcome:
    """Bring a plugin into a state: installed, enabled, disabled or absent."""
    if not _NAME.match(name):
        raise TutorError(f"{name!r} cannot be the name of a plugin; use letters, digits, dashes and underscores.")
    if file is not None:
        if state in ("disabled", "absent"):
            raise TutorError(f"A file for the plugin {name} makes no sense with state {state}; leave the file out.")
        file.check()
    elif state == "installed":
        raise TutorError(f"State installed needs the file of the plugin {name}; give `src` or `content`.")
    with tutor.locked():
        _check_before(tutor, name, state, file)

        def act(target: Tutor) -> None:
            if file is not None:
                file.install(target)
            if state == "enabled":
                _enable(target, name)
            elif state in ("disabled", "absent"):
                _disable(target, name, keep_config)
                if state == "absent":
                    _remove(target, name)
            target.save()

        return converge(
            tutor, act, check_mode=check_mode, with_plugins=file is not None or state == "absent", backups=backups
        )


def _enabled(tutor: Tutor) -> list[str]:
    plugins = tutor.user_config().get("PLUGINS")
    return [str(plugin) for plugin in plugins] if isinstance(plugins, list) else []


def _check_before(tutor: Tutor, name: str, state: str, file: PluginFile | None) -> None:
    listing = tutor.run("plugins", "list")
    tutor.refuse_failed_plugins(listing, apart_from=name)
    installed = {line.split()[0] for line in listing.lines[1:]}
    if state == "enabled" and file is None and name not in installed:
        raise TutorError(
            f"The plugin {name} is not installed for {tutor.binary}; install its Python package beside Tutor, or give "
            "the file with `src` or `content`."
        )
    if state == "absent" and name in installed and installed_file(tutor, name) is None:
        raise TutorError(
            f"The plugin {name} is a Python package, which this module does not remove; use state disabled, "
            f"then uninstall the package with the pip of {tutor.binary}."
        )


def _enable(target: Tutor, name: str) -> None:
    # Not by `plugins enable`: it renders with passwords that it does not save, and forgets plugins that do not load.
    enabled = _enabled(target)
    if name not in enabled:
        target.write_config({**target.user_config(), "PLUGINS": sorted([*enabled, name])})


def _disable(target: Tutor, name: str, keep_config: bool) -> None:
    if name not in _enabled(target):
        return
    before = target.user_config()
    target.run("plugins", "disable", name, timeout=600)
    after = target.user_config()
    lost = {key: value for key, value in before.items() if key not in after}
    if keep_config and lost:
        target.write_config({**after, **lost})


def _remove(target: Tutor, name: str) -> None:
    for form in _FORMATS:
        (target.plugins_root / f"{name}.{form}").unlink(missing_ok=True)
