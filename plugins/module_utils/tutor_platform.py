# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and restarting the services of a Tutor platform, and telling what that changed."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .tutor import Tutor, TutorError
from .tutor_containers import (
    OPENEDX_SERVICES,
    Container,
    changes,
    drifted,
    not_ready,
    to_start,
)
from .tutor_process import wait_until


@dataclass(frozen=True)
class Performed:
    """What happened to the containers of the platform."""

    changed: bool
    changes: dict[str, list[str]] = field(default_factory=dict)
    containers: list[Container] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def choose(tutor: Tutor, services: Iterable[str]) -> list[str]:
    """Resolve the names that an operator gave; Tutor itself checks none of them."""
    chosen: list[str] = []
    for name in services:
        chosen += [service for service in (OPENEDX_SERVICES if name == "openedx" else (name,)) if service not in chosen]
    if not chosen:
        return []
    defined = tutor.services()
    for service in chosen:
        if service not in defined:
            raise TutorError(
                f"The platform at {tutor.root} has no service {service}; it has {', '.join(defined)}. "
                "A store that Tutor no longer runs (RUN_...: false) is no service any more."
            )
    return chosen


def perform(tutor: Tutor, state: str, services: list[str], check_mode: bool) -> Performed:
    """Bring services (all of them when none is named) into a state."""
    with tutor.locked():
        chosen = choose(tutor, services)
        before = tutor.containers()
        if check_mode:
            return _rehearse(tutor, state, chosen, before)
        warnings = _act(tutor, state, chosen, before)
        after = tutor.containers()
    found = changes(before, after)
    return Performed(bool(found) or state in ("restarted", "rebooted"), found, after, warnings)


def _rehearse(tutor: Tutor, state: str, chosen: list[str], before: list[Container]) -> Performed:
    if state == "stopped":
        running = sorted({container.service for container in _of(before, chosen) if container.running})
        return Performed(bool(running), {"stopped": running} if running else {}, before)
    if state != "started":
        return Performed(True, {"started": chosen or tutor.services()}, before)
    hashes = tutor.service_hashes()
    expected = to_start(before, hashes, chosen or sorted(hashes))
    orphans = sorted({container.service for container in before if container.service not in hashes})
    found = {kind: names for kind, names in (("started", expected), ("removed", orphans)) if names}
    return Performed(bool(found), found, before)


def _act(tutor: Tutor, state: str, chosen: list[str], before: list[Container]) -> list[str]:
    if state == "started":
        tutor.run("local", "start", "--detach", *chosen)
    elif state == "stopped":
        if any(container.running for container in _of(before, chosen)):
            tutor.run("local", "stop", *chosen)
    elif state == "rebooted":
        tutor.run("local", "reboot", "--detach", *chosen)
    elif state == "restarted":
        return _restart(tutor, chosen, before)
    return []


def _restart(tutor: Tutor, chosen: list[str], before: list[Container]) -> list[str]:
    """Restart so that everything rendered is in force: compose's own restart keeps the old environment and image."""
    hashes = tutor.service_hashes()
    wanted = chosen or sorted(hashes)
    anew = to_start(before, hashes, wanted)
    if not anew:
        tutor.run("local", "restart", *chosen)
        return []
    tutor.run("local", "start", "--detach", *anew)
    kept = [service for service in wanted if service not in anew and _lasting(before, service)]
    if kept:
        tutor.run("local", "restart", *kept)
    stale = sorted(set(drifted(before, hashes)) & set(anew))
    if not stale:
        return []
    return [f"The definition of {', '.join(stale)} had changed, which a restart does not apply: created anew instead."]


def _of(containers: list[Container], chosen: list[str]) -> list[Container]:
    return [container for container in containers if not chosen or container.service in chosen]


def _lasting(containers: list[Container], service: str) -> bool:
    return any(container.service == service and not container.one_shot for container in containers)


def await_running(
    tutor: Tutor,
    services: list[str],
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Container]:
    """Wait until the services run, and are the same processes at two looks a second apart."""
    wanted = choose(tutor, services) or tutor.services()
    looks: list[list[tuple[str, str]]] = [[]]
    found: list[Container] = []

    def ready() -> bool:
        found[:] = tutor.containers()
        look = [(container.id, container.started_at) for container in found if container.service in wanted]
        steady = not not_ready(found, wanted) and look == looks[-1]
        looks.append(look)
        return steady

    if not wait_until(ready, timeout, 1.0, clock, sleep):
        late = not_ready(found, wanted) or wanted
        raise TutorError(
            f"{', '.join(late)} did not keep running within {timeout:g} s; read `tutor local logs {late[0]}`."
        )
    return found


def await_answer(
    tutor: Tutor,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until the LMS answers through Caddy with anything but a server error."""
    values = tutor.values(["LMS_HOST", "ENABLE_HTTPS", "ENABLE_WEB_PROXY", "CADDY_HTTP_PORT"])
    secure = values["ENABLE_HTTPS"] is True and values["ENABLE_WEB_PROXY"] is True
    port = 443 if secure else int(values["CADDY_HTTP_PORT"])
    answers = [0]

    def ready() -> bool:
        answers[0] = http_status(str(values["LMS_HOST"]), port, secure)
        return 0 < answers[0] < 500

    if not wait_until(ready, timeout, 0.5, clock, sleep):
        last = f"answered {answers[0]}" if answers[0] else "did not answer"
        raise TutorError(
            f"{values['LMS_HOST']} {last} on port {port} of this host after {timeout:g} s; read `tutor local logs lms`."
        )
    return answers[0]


def http_status(host: str, port: int, secure: bool, timeout: float = 10.0) -> int:
    """Ask this host's Caddy for the start page of a site; 0 when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.sock = socket.create_connection(("127.0.0.1", port), timeout)
        if secure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # only a sign of life is asked for, and nothing secret is sent
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", "/heartbeat", headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
