# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Tutor's container of a store is; it has another address whenever it is made anew."""

from __future__ import annotations

from .docker import Docker, DockerError
from .stores.base import Unreachable


def address_of(docker: Docker, project: str, service: str) -> str:
    """The address of the container that runs; raises Unreachable without one."""
    try:
        address = docker.address(project, service)
    except DockerError as problem:
        raise Unreachable(str(problem)) from problem
    if address is None:
        raise Unreachable(
            f"Tutor's container of service {service} does not run on the app server: start it by `tutor local start -d "
            f"{service}`"
        )
    return address
