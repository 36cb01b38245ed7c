# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tutor's service mongodb as it is rendered, and its container made anew from that, as quickly as can be."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from .mongodb_local import AUTHORITY, CERTIFICATE, KEYFILE
from .mongodb_settings import MongodbSettings
from .paths import PATHS
from .roll_state import Containers, Instance
from .stores.base import StoreError
from .tutor import Tutor
from .tutor_errors import TutorError

#: In whose network names of members are tried, in this order.
_PLATFORM = ("lms", "cms", "lms-worker", "cms-worker")


class Platform:
    """The service, by what Tutor has rendered of it and by its container."""

    def __init__(self, tutor: Tutor, service: str, set_name: str, run_folder: Path = PATHS.run) -> None:
        self._tutor = tutor
        self._containers = Containers(tutor)
        self._service = service
        self._set_name = set_name
        self._run_folder = run_folder
        self._image = ""
        self._words: list[str] = []

    def command(self) -> list[str]:
        """The command of the service as it is rendered now. Also learns how Tutor calls compose."""
        try:
            printed = self._tutor.dc("config", "--format", "json")
        except TutorError as problem:
            raise StoreError(str(problem)) from problem
        call = next((line for line in printed.stdout.splitlines() if line.startswith("docker compose ")), "")
        words = shlex.split(call)
        if "config" not in words:
            raise StoreError("`tutor local dc config` does not print its call of docker compose: is Tutor supported?")
        self._words = words[1 : words.index("config")]
        # Notes of plugins may stand before and after it.
        text = "\n".join(printed.lines)
        try:
            rendered = json.loads(text[text.index("{") : text.rindex("}") + 1])["services"][self._service]
        except (KeyError, ValueError) as problem:
            raise StoreError(f"Tutor has rendered no service {self._service}: is RUN_MONGODB true?") from problem
        self._image = str(rendered["image"])
        found = rendered.get("command") or []
        return shlex.split(found) if isinstance(found, str) else [str(word) for word in found]

    def rendered(self) -> bool:
        """Whether it is rendered as a member of our set."""
        return is_member(self.command(), self._set_name)

    def refuse_command(self) -> None:
        """Raise unless the image's MongoDB accepts the command that is rendered, without starting anything with it."""
        program, *words = self.command()
        try:
            self._tutor.docker(
                "run", "--rm", "--network", "none", "--entrypoint", program, self._image, *words, "--outputConfig"
            )
        except TutorError as problem:
            raise StoreError(
                f"MongoDB of the image {self._image} refuses the command that Tutor has rendered, so nothing was "
                f"restarted: {problem}"
            ) from problem

    def recreate(self, command: Sequence[str] | None = None) -> None:
        """Make the container anew, as rendered or with another command; nothing else of the platform is touched."""
        if not self._words:
            self.command()
        words = list(self._words)
        if command is not None:
            words += ["-f", str(self._write_override(command))]
        try:
            alone = ["--no-deps"] if self._forgets_dependencies() else []
            self._tutor.docker(*words, "up", "--detach", *alone, self._service)
        except TutorError as problem:
            raise StoreError(f"the container of service {self._service} could not be made anew: {problem}") from problem

    def process(self) -> Instance:
        """The container that runs."""
        found = self._running(self._service)
        if found is None:
            raise StoreError(
                f"Tutor's container of service {self._service} does not run on the app server: start it by `tutor "
                f"local start -d {self._service}`"
            )
        return found

    def running_command(self) -> list[str]:
        """The command that it was started with, without its image's own entry."""
        words = list(self.process().command)
        return words[words.index("mongod") :] if "mongod" in words else words

    def client(self) -> Instance:
        """A container of the platform that uses the store."""
        for service in _PLATFORM:
            found = self._running(service)
            if found is not None:
                return found
        raise StoreError("no container of lms, cms or a worker runs, from which members could be tried: start Tutor")

    def _running(self, service: str) -> Instance | None:
        try:
            return next(iter(self._containers.running(service)), None)
        except TutorError as problem:
            raise StoreError(str(problem)) from problem

    def _forgets_dependencies(self) -> bool:
        """Whether compose can be told to leave dependencies alone.

        Up to 2.26 it then makes the container by another definition, and the next `start` would make it anew once more.
        """
        found = self._tutor.docker("compose", "version", "--short").stdout.strip().lstrip("v").split(".")
        return tuple(int(part) for part in found[:2]) >= (2, 27)

    def _write_override(self, command: Sequence[str]) -> Path:
        self._run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        path = self._run_folder / "mongodb.compose.json"
        path.write_text(json.dumps({"services": {self._service: {"command": list(command)}}}), encoding="utf-8")
        # Compose runs as the owner of the Tutor root.
        path.chmod(0o644)
        return path


def is_member(command: Sequence[str], set_name: str) -> bool:
    """Whether a command starts a member of a set as this collection needs it."""
    wanted = {"--replSet": set_name, "--keyFile": KEYFILE, "--tlsCertificateKeyFile": CERTIFICATE,
              "--tlsCAFile": AUTHORITY}  # fmt: skip
    given = {word: command[at + 1] for at, word in enumerate(command[:-1])}
    given.update((name, value) for name, equals, value in (word.partition("=") for word in command) if equals)
    named = {name: given.get(name, "").rpartition("/")[2] for name in wanted}
    return named == wanted and "--transitionToAuth" in command and "--nojournal" not in command


def open_platform(settings: MongodbSettings) -> Platform:
    """The platform that the settings name, through Tutor's command line."""
    try:
        tutor = Tutor(
            str(settings.tutor_root), settings.tutor_binary, settings.tutor_plugins_root, settings.tutor_owner
        )
    except TutorError as problem:
        raise StoreError(str(problem)) from problem
    return Platform(tutor, settings.service, settings.set_name)
