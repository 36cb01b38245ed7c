# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one wrapper around the tutor command line; it also works outside Ansible, on the app server."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .tutor_config_file import dump, parse, same, write_atomic
from .tutor_containers import Container, parse_inspect
from .tutor_errors import TutorError
from .tutor_process import (
    Owner,
    Result,
    environment_for,
    find_binary,
    root_lock,
    run_as,
    wait_until,
)
from .tutor_secrets import Masker, secret_values
from .tutor_values import (
    READER,
    from_printed,
    has_template,
    interpreter_of,
    parse_answer,
)

__all__ = ["Container", "Owner", "Result", "Tutor", "TutorError", "Version"]

SUPPORTED_MAJORS = range(18, 23)
CONFIG_NAME = "config.yml"

_VERSION = re.compile(r"version (\d+)\.(\d+)\.(\d+)")
_PROJECT_NAME = re.compile(r"^LOCAL_PROJECT_NAME:\s*['\"]?([A-Za-z0-9_-]+)", re.MULTILINE)
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class Version(NamedTuple):
    """Version of the tutor executable."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class Tutor:
    """Drives one Tutor root as its owner, alone on it, and keeps its secrets out of every message."""

    def __init__(
        self,
        root: str | None = None,
        binary: str | None = None,
        plugins_root: str | None = None,
        owner: str | None = None,
        lock_timeout: float = 60.0,
    ) -> None:
        self.lock_timeout = lock_timeout
        self._given_secrets: set[str] = set()
        self._plugins_root = plugins_root
        self.owner = self._first_owner(root, owner)
        self.binary = find_binary(binary, self.owner)
        self.version = self._read_version()
        self.root = self._find_root(root, owner)
        self._check_root(owner)

    # Who, where, which version

    @staticmethod
    def _first_owner(root: str | None, owner: str | None) -> Owner:
        """Decide as whom to run: as told, as the root's owner, or as who runs this."""
        if owner:
            return Owner.named(owner)
        if root:
            try:
                return Owner.of_uid(os.stat(root).st_uid)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise _no_root(Path(root)) from error
            except PermissionError as error:
                raise TutorError(f"The Tutor root {root} cannot be read; run this as its owner or as root.") from error
        return Owner.of_uid(os.geteuid())

    def _read_version(self) -> Version:
        result = run_as(self.owner, [self.binary, "--version"], self._environment(None), Path("/"), timeout=60)
        found = _VERSION.search(result.stdout)
        if result.rc != 0 or not found:
            raise TutorError(f"{self.binary} does not tell a Tutor version (rc {result.rc}); correct `binary`.")
        version = Version(*(int(part) for part in found.groups()))
        if version.major not in SUPPORTED_MAJORS:
            raise TutorError(
                f"Tutor {version} at {self.binary} is not supported, only {SUPPORTED_MAJORS[0]} to "
                f"{SUPPORTED_MAJORS[-1]} are; name another `binary` or upgrade Tutor."
            )
        return version

    def _find_root(self, root: str | None, owner: str | None) -> Path:
        if root:
            return Path(os.path.abspath(root))
        environment = self._environment(None)
        if owner:
            environment.pop("TUTOR_ROOT", None)
        argv = [self.binary, "config", "printroot"]
        result = run_as(self.owner, argv, environment, Path("/"), timeout=120)
        if result.rc != 0 or not result.lines:
            raise TutorError(f"`tutor config printroot` failed for user {self.owner.name}; name the root with `root`.")
        return Path(result.lines[-1].strip())

    def _check_root(self, owner: str | None) -> None:
        if not self.root.is_dir():
            raise _no_root(self.root)
        uid = self.root.stat().st_uid
        actual = Owner.of_uid(uid)
        if owner and uid != self.owner.uid:
            raise TutorError(
                f"The Tutor root {self.root} belongs to {actual.name}, not to {owner}; correct `owner` or `root`."
            )
        if uid != os.geteuid() and os.geteuid() != 0:
            raise TutorError(
                f"The Tutor root {self.root} belongs to {actual.name}; run this as {actual.name} or as root."
            )
        self.owner = actual
        if not self.config_path.is_file():
            raise TutorError(
                f"The Tutor root {self.root} has no {CONFIG_NAME}, so Tutor was never set up there; "
                f"correct `root`, or run `tutor config save` as {actual.name} first."
            )
        for path in (self.config_path, self.root / "env"):
            if path.exists() and path.stat().st_uid != uid:
                stranger = path.stat().st_uid
                raise TutorError(
                    f"{path} belongs to user id {stranger}, not to {actual.name} as the Tutor root does, because Tutor "
                    f"was run as another user; run `chown -R {actual.name}: {path}` first."
                )

    @property
    def config_path(self) -> Path:
        """Where the settings are saved."""
        return self.root / CONFIG_NAME

    @property
    def plugins_root(self) -> Path:
        """The folder of single-file plugins."""
        if not self._plugins_root:
            self._plugins_root = self.run("plugins", "printroot").lines[-1].strip()
        return Path(self._plugins_root)

    def give(self, path: Path) -> None:
        """Give a file or folder that root has just made to the owner of the root."""
        if os.geteuid() == 0:
            os.chown(path, self.owner.uid, self.owner.gid, follow_symlinks=False)

    def on_copy(self, root: Path, plugins_root: Path | None) -> Tutor:
        """Make a twin that drives another root with the same executable and owner."""
        twin = copy.copy(self)
        twin.root = root
        twin._plugins_root = str(plugins_root) if plugins_root else self._plugins_root
        return twin

    # Running

    def _environment(self, root: Path | None) -> dict[str, str]:
        return environment_for(self.owner, os.environ, root, self._plugins_root)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the root alone; may be nested."""
        with root_lock(self.root, self.lock_timeout):
            yield

    def run(self, *args: str, check: bool = True, input: str | None = None, timeout: float | None = None) -> Result:
        """Run `tutor ARGS` as the owner of the root, under its lock."""
        with self.locked():
            result = run_as(self.owner, [self.binary, *args], self._environment(self.root), self.root, input, timeout)
        if check and result.rc != 0:
            raise TutorError(self._failure(args, result))
        return result

    def _failure(self, args: tuple[str, ...], result: Result) -> str:
        noise = ("You are running Tutor as root", "Failed to enable plugin")
        # A failed external command is printed whole, scripts and passwords included: only its status is of use.
        text, cut, rest = result.stderr.partition("Error: Command failed with status ")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        lines = [line for line in lines if not any(words in line for words in noise)][-3:]
        if cut:
            tool = "kubectl" if args[0] == "k8s" else "docker"
            lines.append(f"{tool} ended with status {rest.split(':', 1)[0]}.")
        reason = " ".join(lines) or "it printed no reason."
        command = " ".join(["tutor", *(argument for argument in args if not argument.startswith("-"))][:4])
        return self.mask(f"`{command}` failed at {self.root} with code {result.rc}: {reason}")

    def docker(self, *args: str, check: bool = True) -> Result:
        """Run `docker ARGS` as the owner of the root; takes no lock, because Tutor takes no part in it."""
        environment = self._environment(self.root)
        binary = shutil.which("docker", path=environment["PATH"])
        if not binary:
            raise TutorError("docker was not found on the PATH; install Docker on this host first.")
        result = run_as(self.owner, [binary, *args], environment, Path("/"), timeout=120)
        if check and result.rc != 0:
            reason = " ".join(result.stderr.split()) or "it printed no reason"
            raise TutorError(self.mask(f"`docker {args[0]}` failed as {self.owner.name}: {reason}"))
        return result

    # Secrets

    def secret(self, *values: str) -> None:
        """Add values that must not appear in any message."""
        self._given_secrets.update(value for value in values if value)

    def mask(self, text: str) -> str:
        """Hide every secret of this root, and those that were given, in a text."""
        try:
            found = secret_values(self.user_config())
        except (TutorError, OSError):
            found = set()
        return Masker(found, self._given_secrets).mask(text)

    # Configuration

    def user_config(self) -> dict[str, Any]:
        """Read config.yml as it is on disk, with types."""
        return parse(self._config_text(), self.config_path)

    def _config_text(self) -> str:
        # An operator's own Tutor, which knows no lock, truncates the file for a moment before it writes it.
        wait_until(lambda: self.config_path.stat().st_size > 0, timeout=1.0, pause=0.02)
        return self.config_path.read_text(encoding="utf-8")

    def write_config(self, config: Mapping[str, Any], hide: bool = False) -> bool:
        """Replace config.yml, with the owner and mode that it has; `hide` takes it from other users' eyes.

        Says whether anything was written. Tutor renders nothing until `save`.
        """
        mode = self.config_path.stat().st_mode & 0o7777
        wanted_mode = mode & ~0o007 if hide else mode
        with self.locked():
            if same(self.user_config(), config):
                if mode != wanted_mode:
                    self.config_path.chmod(wanted_mode)
                return mode != wanted_mode
            content = dump(config).encode()
            write_atomic(self.config_path, content, self.owner.uid, self.owner.gid, wanted_mode)
        return True

    def value(self, key: str) -> Any:
        """Give the value in force: the user's, or Tutor's or a plugin's default."""
        return self.values([key])[key]

    def values(self, keys: Iterable[str], missing_ok: bool = False) -> dict[str, Any]:
        """Give several values in force, with their types; unknown settings are an error or left out."""
        wanted = list(keys)
        with self.locked():
            user = self.user_config()
            found = {key: user[key] for key in wanted if key in user and not has_template(user[key])}
            missing = [key for key in wanted if key not in found]
            if missing:
                found.update(self._effective(missing))
        for key in wanted:
            if key not in found and not missing_ok:
                raise TutorError(
                    f"Tutor {self.version} knows no setting {key}; check its name and the enabled plugins."
                )
        return {key: found[key] for key in wanted if key in found}

    def _effective(self, keys: list[str]) -> dict[str, Any]:
        answer = None
        interpreter = interpreter_of(self.binary)
        if interpreter is not None:
            argv = [interpreter, "-c", READER, str(self.root), *keys]
            answer = parse_answer(run_as(self.owner, argv, self._environment(self.root), self.root, timeout=120))
        if answer is None:
            printed = {key: self.run("config", "printvalue", key, check=False) for key in keys}
            for key, result in printed.items():
                if result.rc != 0 and "Missing configuration value: " not in result.stderr:
                    raise TutorError(self._failure(("config", "printvalue", key), result))
            answer = {key: from_printed(result.stdout) for key, result in printed.items() if result.rc == 0}
        return answer

    def save(self) -> Result:
        """Render the whole environment; fails where Tutor would silently leave a plugin out."""
        result = self.run("config", "save", timeout=600)
        self.refuse_failed_plugins(result)
        return result

    def refuse_failed_plugins(self, result: Result, apart_from: str = "") -> None:
        """Turn Tutor's warning about a plugin that it could not load into an error."""
        for name, reason in result.failed_plugins.items():
            if name != apart_from:
                raise TutorError(
                    self.mask(
                        f"Tutor cannot load the plugin {name} at {self.root} and would render without it: {reason} "
                        f"Repair it, or disable it with `tutor plugins disable {name}`."
                    )
                )

    # The platform

    def dc(self, *args: str, check: bool = True) -> Result:
        """Run `docker compose ARGS` on the platform, as `tutor local dc` does."""
        return self.run("local", "dc", *args, check=check)

    def services(self) -> list[str]:
        """List the services that the rendered environment defines."""
        return sorted(line.strip() for line in self.dc("config", "--services").lines if _SERVICE.match(line.strip()))

    def service_hashes(self) -> dict[str, str]:
        """Give compose's hash of each service's definition; a container made from it carries the same."""
        pairs = [line.split() for line in self.dc("config", "--hash=*").lines]
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    @property
    def project_name(self) -> str:
        """Name the compose project; reads the file alone, so that it works while Tutor is at work."""
        found = _PROJECT_NAME.search(self._config_text())
        return found.group(1) if found else "tutor_local"

    def containers(self) -> list[Container]:
        """List the platform's containers, running or not, without those of one-off runs and jobs."""
        label = "label=com.docker.compose"
        wanted = ("--filter", f"{label}.project={self.project_name}", "--filter", f"{label}.oneoff=False")
        ids = self.docker("ps", "--all", "--quiet", "--no-trunc", *wanted).stdout.split()
        if not ids:
            return []
        return parse_inspect(self.docker("inspect", "--type=container", *ids, check=False).stdout)


def _no_root(root: Path) -> TutorError:
    return TutorError(f"The Tutor root {root} does not exist on this host; correct `root` or `owner`.")
