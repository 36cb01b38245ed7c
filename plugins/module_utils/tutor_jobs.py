# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of Tutor (`tutor local do`): which of them would silently do nothing, and what they print in clear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .tutor import Tutor, TutorError

READ_ONLY = frozenset({"print-edx-platform-setting"})
_ONLY_WITH_OWN_MYSQL = frozenset({"convert-mysql-utf8mb4-charset", "update-mysql-authentication-plugin"})
_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_RUN = re.compile(r"^docker compose .* run --rm (?:-T )?(\S+)-job sh -e -c ", re.MULTILINE)


@dataclass(frozen=True)
class JobResult:
    """What a job did."""

    services: list[str]
    """Services in whose containers it ran, in order."""
    stdout: str
    stderr: str
    seconds: float


def arguments(job: str, args: Sequence[str], limit: str | None) -> list[str]:
    """Put the command line together."""
    return [job, *(["--limit", limit] if limit else []), *args]


def secrets_in(args: Sequence[str], stdin: str | None) -> set[str]:
    """Find what must not be shown among the arguments and the input of a job."""
    found = {line for line in (stdin or "").splitlines() if line.strip()}
    for option, value in zip(args, [*args[1:], ""], strict=False):
        name, sign, attached = option.partition("=")
        if name in ("-p", "--password") and not sign:
            found.add(value)
        elif name == "--password":
            found.add(attached)
        elif re.match(r"-p[^-]", option):
            found.add(option[2:])
    return {value for value in found if value}


def check(tutor: Tutor, job: str, args: Sequence[str], limit: str | None, stdin: str | None) -> None:
    """Refuse a job that could not do what it is asked for."""
    if not _NAME.match(job):
        raise TutorError(f"{job!r} is not the name of a job; see `tutor local do --help`.")
    if limit is not None or any(re.match(r"(-l|--limit)", argument) for argument in args):
        if job != "init":
            raise TutorError(f"The job {job} knows no `limit`, only init does; leave it out.")
        if limit is None:
            raise TutorError("Give the limit of the job init as `limit`, so that its name can be checked.")
        _check_limit(tutor, limit)
    if job in _ONLY_WITH_OWN_MYSQL and tutor.value("RUN_MYSQL") is False:
        raise TutorError(
            f"The job {job} does nothing while RUN_MYSQL is false, because Tutor does not run MySQL then; "
            "do it on the MySQL server itself."
        )
    if job == "createuser" and stdin is None and not secrets_in(args, None):
        raise TutorError("The job createuser asks for a password; give it as `stdin`.")


def _check_limit(tutor: Tutor, limit: str) -> None:
    listing = tutor.run("plugins", "printroot")
    plugins = [name for name in tutor.user_config().get("PLUGINS") or [] if name not in listing.failed_plugins]
    core = ["mysql", "lms", "cms"] + (["meilisearch"] if tutor.version.major >= 19 else [])
    if limit not in core and limit not in plugins:
        raise TutorError(
            f"{limit} is neither a service that init knows nor an enabled plugin, so Tutor would run nothing; "
            f"use one of {', '.join([*core, *plugins])}."
        )


def run(tutor: Tutor, job: str, args: Sequence[str], limit: str | None, stdin: str | None, timeout: float) -> JobResult:
    """Run a job; what it printed comes back with every secret masked."""
    tutor.secret(*secrets_in(args, stdin))
    with tutor.locked():
        check(tutor, job, args, limit, stdin)
        result = tutor.run("local", "do", *arguments(job, args, limit), input=stdin, timeout=timeout)
        services = _RUN.findall(result.stdout)
        if job == "init" and not services:
            raise TutorError(f"The job init ran nothing for {limit}: it has no initialisation; leave this task out.")
        return JobResult(services, tutor.mask(result.stdout), tutor.mask(result.stderr), round(result.seconds, 2))
