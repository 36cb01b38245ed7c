# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rolling restart works with: the platform, the way into containers' networks, its limits and its report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .caddy import Caddy
from .netns import Doorkeeper, Gate, Response, Socket, request, sockets
from .paths import PATHS, Paths
from .tutor_errors import TutorError


class RollError(TutorError):
    """A service could not be rolled; the one that served still does. One sentence for the operator."""


class _Result(Protocol):
    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...


class Platform(Protocol):
    """What a roll needs of tutor.Tutor."""

    root: Path

    @property
    def project_name(self) -> str:
        """Name of the compose project."""

    def dc(self, *args: str, check: bool = True) -> _Result:
        """Run `docker compose ARGS` on the platform."""

    def docker(self, *args: str, check: bool = True) -> _Result:
        """Run `docker ARGS`."""

    def service_hashes(self) -> dict[str, str]:
        """Compose's hash of each service's definition."""


@dataclass(frozen=True)
class Limits:
    """How long each wait may take, in seconds."""

    ready: float = 300.0
    drain: float = 900.0
    tasks: float = 3600.0
    keepalive: float = 1.0
    """How long connections to a container that is to go may end by themselves before Caddy drops those it keeps."""
    settle: float = 60.0
    """After how long a worker that says nothing counts as consuming."""


@dataclass
class Report:
    """What a roll did."""

    rolled: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cut: int = 0
    """Connections that were still there when the time to drain was over."""


@dataclass
class Tools:
    """How a roll reaches the world; tests give it another one."""

    gate: Gate = field(default_factory=Gate)
    doorkeeper: Callable[[Gate], Doorkeeper] = Doorkeeper
    sockets: Callable[[int], list[Socket]] = sockets
    alive: Callable[[int], bool] = lambda pid: os.path.exists(f"/proc/{pid}")
    request: Callable[..., Response] = request
    caddy: Callable[[int], Caddy] = Caddy
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = lambda _text: None
    paths: Paths = PATHS
