# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a Tutor root without risk: tried on a copy, then done, then proved; put back when it fails.

Tutor saves config.yml before it renders, so a value that breaks a template leaves it broken. Here the whole
change runs first in a throw-away copy of the root. That shows what would change (check mode, and `changed`),
that every value arrives intact, and that everything renders, while the real root is still untouched.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .tutor import CONFIG_NAME, Tutor, TutorError
from .tutor_config_file import ConfigChange, back_up, same, write_atomic

_PLUGIN_SUFFIXES = (".py", ".yml", ".yaml")


@dataclass(frozen=True)
class Outcome:
    """What a change did, or in check mode would do."""

    before: dict[str, Any]
    after: dict[str, Any]
    env_changed: list[str]
    plugins_changed: list[str]
    backup: str | None = None
    closed: bool = False
    """Whether config.yml was, or would be, made unreadable for other users."""

    @property
    def config_changed(self) -> bool:
        """Say whether config.yml holds other settings."""
        return not same(self.before, self.after)

    @property
    def changed(self) -> bool:
        """Say whether settings, rendered files or plugin files differ."""
        return self.config_changed or bool(self.env_changed) or bool(self.plugins_changed) or self.closed


class Stage:
    """A throw-away copy of a root and, if asked for, of its plugins, readable by their owner only."""

    def __init__(self, real: Tutor, with_plugins: bool = False) -> None:
        self.real = real
        self._folder = tempfile.TemporaryDirectory(prefix="tutorops-")
        self.folder = Path(self._folder.name)
        root = self.folder / "root"
        root.mkdir(mode=0o700)
        shutil.copyfile(real.config_path, root / CONFIG_NAME)
        (root / CONFIG_NAME).chmod(0o600)
        self.plugins: Path | None = None
        if with_plugins:
            self.plugins = self.folder / "plugins"
            if real.plugins_root.is_dir():
                shutil.copytree(real.plugins_root, self.plugins, symlinks=False, ignore_dangling_symlinks=True)
            else:
                self.plugins.mkdir()
        self._give_to_owner()
        self.tutor = real.on_copy(root, self.plugins)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()

    def _give_to_owner(self) -> None:
        if os.geteuid() != 0 or self.real.owner.uid == 0:
            return
        for folder, _folders, files in os.walk(self.folder):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, self.real.owner.uid, self.real.owner.gid, follow_symlinks=False)

    def env_changed(self) -> list[str]:
        """Name the rendered files whose content is not what the real root has."""
        return _differing(self.tutor.root / "env", self.real.root / "env", str(self.tutor.root), str(self.real.root))

    def plugins_changed(self) -> list[str]:
        """Name the plugin files that were added, altered or removed."""
        if self.plugins is None:
            return []
        added = _differing(self.plugins, self.real.plugins_root)
        return sorted({*added, *_absent(self.real.plugins_root, self.plugins)})


def _differing(new: Path, old: Path, new_name: str = "", old_name: str = "") -> list[str]:
    found = []
    for folder, _folders, files in os.walk(new):
        if os.path.basename(folder) == "__pycache__":
            continue
        for name in files:
            path = Path(folder) / name
            relative = path.relative_to(new)
            content = path.read_bytes()
            if new_name:
                content = content.replace(new_name.encode(), old_name.encode())
            other = old / relative
            if not other.is_file() or other.read_bytes() != content:
                found.append(str(relative))
    return sorted(found)


def _absent(old: Path, new: Path) -> list[str]:
    if not old.is_dir():
        return []
    return [path.name for path in old.iterdir() if path.suffix in _PLUGIN_SUFFIXES and not (new / path.name).exists()]


def converge(
    tutor: Tutor,
    act: Callable[[Tutor], None],
    verify: Callable[[dict[str, Any]], None] = lambda _config: None,
    *,
    check_mode: bool = False,
    with_plugins: bool = False,
    backups: int = 5,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> Outcome:
    """Try a change on a copy; when it makes a difference and this is no rehearsal, do it for real."""
    refuse_other_release(tutor)
    with tutor.locked():
        before = tutor.user_config()
        with Stage(tutor, with_plugins) as stage:
            act(stage.tutor)
            outcome = Outcome(before, stage.tutor.user_config(), stage.env_changed(), stage.plugins_changed())
        verify(outcome.after)
        if check_mode or not outcome.changed:
            return outcome
        backup = None
        if outcome.config_changed:
            backup = back_up(tutor.config_path, backups, now(), tutor.owner.uid, tutor.owner.gid)
        after = _do(tutor, act, verify, with_plugins)
        return Outcome(before, after, outcome.env_changed, outcome.plugins_changed, str(backup) if backup else None)


def _do(
    tutor: Tutor, act: Callable[[Tutor], None], verify: Callable[[dict[str, Any]], None], with_plugins: bool
) -> dict[str, Any]:
    files = [tutor.config_path]
    if with_plugins and tutor.plugins_root.is_dir():
        files += [path for path in tutor.plugins_root.iterdir() if path.suffix in _PLUGIN_SUFFIXES]
    kept = {path: (path.read_bytes(), path.stat()) for path in files}
    try:
        act(tutor)
        after = tutor.user_config()
        verify(after)
        return after
    except BaseException as error:
        if with_plugins and tutor.plugins_root.is_dir():
            for path in tutor.plugins_root.iterdir():
                if path.suffix in _PLUGIN_SUFFIXES and path not in kept:
                    path.unlink()
        for path, (content, status) in kept.items():
            if not path.exists() or path.read_bytes() != content:
                write_atomic(path, content, status.st_uid, status.st_gid, status.st_mode & 0o7777)
        again = tutor.run("config", "save", check=False, timeout=600)
        if not isinstance(error, (TutorError, OSError)):
            raise
        end = "rendered again" if again.rc == 0 else "could not be rendered again; run `tutor config save`"
        raise TutorError(tutor.mask(f"{error} The configuration at {tutor.root} was put back and {end}.")) from error


def refuse_other_release(tutor: Tutor) -> None:
    """Refuse to render over an environment of another release, whose data were never upgraded."""
    path = tutor.root / "env" / "version"
    found = re.match(r"(\d+)\.", path.read_text(encoding="utf-8")) if path.is_file() else None
    if found and int(found.group(1)) != tutor.version.major:
        raise TutorError(
            f"The environment at {tutor.root} was rendered by Tutor {found.group(1)}, and the tutor executable is "
            f"{tutor.version}; upgrade the platform with Tutor itself first, or name the other `binary`."
        )


def change_config(tutor: Tutor, change: ConfigChange, *, check_mode: bool, backups: int, hide: bool = False) -> Outcome:
    """Bring settings to what is wanted; every value is proved to arrive as it was given."""
    change.check()
    with tutor.locked():
        wanted = change.apply(tutor.user_config(), tutor.value)
        touched = {*change.set, *change.append, *change.remove}

        def act(target: Tutor) -> None:
            target.write_config(wanted, hide)
            target.save()

        def verify(config: dict[str, Any]) -> None:
            for name in sorted(touched & wanted.keys()):
                if name not in config or not same(config[name], wanted[name]):
                    raise TutorError(
                        f"Tutor did not keep the value given for {name} as it is: the file or a plugin turns it into "
                        "another one; choose another value, or look for a plugin that forces this setting."
                    )

        _refuse_generated(tutor, change.unset, wanted)
        closing = hide and bool(tutor.config_path.stat().st_mode & 0o007)
        outcome = converge(tutor, act, verify, check_mode=check_mode, backups=backups)
        if closing and not check_mode:
            tutor.write_config(tutor.user_config(), hide)
        return replace(outcome, closed=closing)


def _refuse_generated(tutor: Tutor, names: tuple[str, ...], wanted: dict[str, Any]) -> None:
    """Refuse to unset what Tutor draws anew at each save: passwords that databases know already."""
    present = [name for name in names if name in tutor.user_config()]
    if not present:
        return
    first = _saved(tutor, wanted)
    back = [name for name in present if name in first]
    second = _saved(tutor, wanted) if back else first
    for name in back:
        if not same(first[name], second.get(name)):
            raise TutorError(
                f"{name} cannot be unset, because Tutor draws a new value for it at every save; set the value you want."
            )


def _saved(tutor: Tutor, wanted: dict[str, Any]) -> dict[str, Any]:
    """Give what Tutor would save for these settings."""
    with Stage(tutor) as stage:
        stage.tutor.write_config(wanted)
        stage.tutor.save()
        return stage.tutor.user_config()
