# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps hosts from being members, whatever the engine: a sentence for each thing that stands in the way.

``variable`` is the prefix of the role's variables, and ``member`` what the engine's member_info module found, with the
name of the host as C(host).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.packages import is_of
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import LEAST_MEMBERS

_LEAST_SECRET = 8


# Variables


def refuse_members(variable: str, what: str, need: str, hosts: Sequence[str], reached: Sequence[str]) -> Iterator[str]:
    """Too few hosts (``need`` tells what for), or some that this play does not reach."""
    several = list(dict.fromkeys(hosts))
    if len(several) < LEAST_MEMBERS:
        yield (
            f"{variable}_hosts names {len(several)} hosts ({', '.join(several) or 'none'}), but {need}: name three or "
            "more."
        )
    absent = [name for name in several if name not in reached]
    if absent:
        yield (
            f"{', '.join(absent)} of {variable}_hosts did not answer or is hidden by --limit, and {what} is converged "
            "with all its members: start the host, mend its connection, or run without --limit."
        )


def refuse_secrets(host: str, secrets: Mapping[str, Any]) -> Iterator[str]:
    """Secrets, by the names of their variables, that are missing or too short; none is shown."""
    for name, secret in secrets.items():
        if len(str(secret)) < _LEAST_SECRET:
            yield (
                f"{name} is not set for {host}, or shorter than {_LEAST_SECRET} characters: set it in a vault, the "
                "same for all members."
            )


# Hosts


def refuse_system(
    variable: str,
    member: Mapping[str, Any],
    systems: Sequence[str],
    memory: int,
    free: int,
    sized_by: str,
    holds_data: bool,
) -> Iterator[str]:
    """Another system, an address of somebody else, too little memory (of which ``sized_by`` takes most) or space."""
    host = member["host"]
    found = re.sub(r"^(debian \d+).*", r"\1", member["distribution"])
    if found not in systems:
        yield f"{host} runs {found}, but a member needs one of {', '.join(systems)}: use such a host."
    if not member["address_present"]:
        yield (
            f"{variable}_address of {host} is {member['address']}, which no interface there has: set it to an address "
            "of the host that the other members and the clients reach."
        )
    if member["memory_bytes"] < int(memory):
        yield (
            f"{host} has {size(member['memory_bytes'])} of memory, and a member needs {size(memory)}: give it more, "
            f"or lower {variable}_minimum_memory together with {variable}_{sized_by}."
        )
    if not holds_data and member["data_dir_bytes_free"] < int(free):
        yield (
            f"{host} has {size(member['data_dir_bytes_free'])} free at {member['data_dir']}, and a member needs "
            f"{size(free)}: make room, or lower {variable}_minimum_free_space."
        )


def refuse_address(variable: str, member: Mapping[str, Any], addresses: Sequence[str]) -> Iterator[str]:
    """An address that several members have."""
    if list(addresses).count(member["address"]) > 1:
        yield (
            f"members share the address {member['address']} of {member['host']}: give {variable}_address per host, an "
            "address that the others reach."
        )


def refuse_port(variable: str, port: int, host: str, process: str | None) -> Iterator[str]:
    """A port that somebody else listens on; ``variable`` is its own."""
    if process:
        yield f"port {port} of {host} is taken by {process}: stop it, or choose another {variable}."


def refuse_versions(
    variable: str, product: str, member: Mapping[str, Any], series: Sequence[str], wanted: str
) -> Iterator[str]:
    """A package that is there, or else that would come, of another series or version."""
    host = member["host"]
    for what, found in (("has", member["version_installed"]), ("would get", member["version_candidate"])):
        if found is None or (what == "would get" and member["version_installed"]):
            continue
        if not any(is_of(found, one) for one in series):
            yield (
                f"{host} {what} {product} {found}, but this role supports the series {', '.join(series)}: choose "
                f"another {variable}_repository, or remove the package."
            )
        elif wanted and not is_of(found, wanted):
            yield (
                f"{host} {what} {product} {found}, but {variable}_version is {wanted}: choose a {variable}_repository "
                "that has it."
            )


def size(count: Any) -> str:
    """Bytes in GiB."""
    return f"{int(count) / 2**30:.1f} GiB"
