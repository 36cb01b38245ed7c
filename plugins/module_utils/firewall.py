# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An nftables table that lets only some addresses reach some ports, and leaves all other ports and tables alone.

It is on the disk, where a unit finds it at each boot, before it is in the kernel. The kernel takes it as one
transaction: there is no moment without the old rules or the new ones, and connections that exist are never cut.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .host_files import Difference, Wanted, apply, differences

NFT = "/usr/sbin/nft"
UNIT = "tutorops-firewall.service"
MANAGED = "#\n# Ansible managed\n#\n"

_LOAD = f"""/bin/sh -ec 'for file in /etc/tutorops/firewall/*.nft; do test ! -e "$file" || {NFT} -f "$file"; done'"""
LOADER = f"""{MANAGED}[Unit]
Description=Who may reach the ports of tutorops.scale
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target
# The distribution's own service flushes every table whenever it starts or reloads.
After=nftables.service local-fs.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={_LOAD}
ExecReload={_LOAD}

[Install]
WantedBy=sysinit.target
"""


class FirewallError(Exception):
    """Why the ports cannot be guarded, as a sentence."""


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    out: str
    error: str


Run = Callable[[Sequence[str]], Done]


def run(command: Sequence[str]) -> Done:
    """Run a command; one that is not there counts as failed."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError:
        return Done(127, "", f"{command[0]} is missing")
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Rule:
    """Who may reach which ports; everybody else is refused."""

    ports: tuple[int, ...]
    sources: tuple[str, ...]


def table(name: str, rules: Iterable[Rule]) -> str:
    """Write the table in nft's own language, with a mark that is another one for other rules."""
    lines = []
    for rule in rules:
        ports = ", ".join(map(str, sorted(set(rule.ports))))
        for source in sorted(set(rule.sources)):
            family = "ip6" if ":" in source else "ip"
            lines.append(f"        {family} saddr {source} tcp dport {{ {ports} }} accept")
        lines.append(f"        tcp dport {{ {ports} }} reject with tcp reset")
    chain = "\n".join(
        [
            "    chain input {",
            "        type filter hook input priority filter - 5; policy accept;",
            "        iif lo accept",
            "        ct state established,related accept",
            *lines,
            "    }",
        ]
    )
    return f"""#!{NFT} -f
{MANAGED}# Replaces this one table as a whole; no other table is touched.
table inet {name}
delete table inet {name}
table inet {name} {{
    comment "{hashlib.sha1(chain.encode(), usedforsecurity=False).hexdigest()}"
{chain}
}}
"""


def mark(text: str) -> str:
    """Give the mark of a table; one in the kernel with the same mark has the same rules."""
    return text.split('comment "', 1)[1].split('"', 1)[0]


def refuse_names(rules: Iterable[Rule]) -> None:
    """Refuse what is no address: nftables would look a name up only once, when it loads the table."""
    names = []
    for source in dict.fromkeys(source for rule in rules for source in rule.sources):
        try:
            ipaddress.ip_network(source, strict=False)
        except ValueError:
            names.append(source)
    if names:
        raise FirewallError(
            f"{', '.join(names)} cannot be let through the firewall, because only addresses can: give IPv4 or IPv6 "
            "addresses or networks."
        )


@dataclass
class Report:
    """What changed, or would."""

    files: list[Difference] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything did."""
        return bool(self.files or self.steps)


class Firewall:
    """The table of one role."""

    def __init__(self, name: str, run: Run = run, root: Path = Path("/"), owner: str = "root") -> None:
        self._table = f"tutorops_{name}"
        self._folder = root / "etc/tutorops/firewall"
        self._file = self._folder / f"{name}.nft"
        self._unit = root / "etc/systemd/system" / UNIT
        self._run = run
        self._owner = owner

    def guard(self, rules: Sequence[Rule], check: bool) -> Report:
        """Have these rules, and no others, now and after each boot."""
        refuse_names(rules)
        text = table(self._table, rules)
        report = Report(differences(self._wanted(text)))
        listed = self._run([NFT, "list", "table", "inet", self._table])
        if listed.code == 127 and not check:
            raise FirewallError(f"{NFT} is missing on this host: install the package nftables first.")
        if not check:
            apply(report.files)
        if mark(text) not in listed.out:
            report.steps.append(f"table inet {self._table} is loaded")
            if not check:
                self._do(NFT, "-f", str(self._file))
        self._start(report, check)
        return report

    def open(self, check: bool) -> Report:
        """Take the table away, from the kernel first: as long as the file is there the next run knows what to do."""
        report = Report(differences([Wanted(self._file, state="absent")]))
        if report.files and not check:
            deleted = self._run([NFT, "delete", "table", "inet", self._table])
            if deleted.code not in (0, 127) and "No such file or directory" not in deleted.error:
                raise FirewallError(f"table inet {self._table} cannot be removed: {deleted.error.strip()}.")
            apply(report.files)
        if self._unit.exists() and not any(one != self._file for one in self._folder.glob("*.nft")):
            # It was the last table.
            report.steps.append(f"{UNIT} is removed")
            if not check:
                self._do("systemctl", "disable", "--now", UNIT)
                self._unit.unlink()
                self._do("systemctl", "daemon-reload")
        return report

    def _wanted(self, text: str) -> list[Wanted]:
        me = self._owner
        return [
            Wanted(self._folder, state="directory", mode=0o755, owner=me, group=me),
            Wanted(self._file, content=text.encode(), validate=f"{NFT} -c -f %s", owner=me, group=me),
            Wanted(self._unit, content=LOADER.encode(), owner=me, group=me),
        ]

    def _start(self, report: Report, check: bool) -> None:
        names = "UnitFileState,ActiveState,NeedDaemonReload"
        shown = self._run(["systemctl", "show", UNIT, f"--property={names}"]).out.splitlines()
        if "NeedDaemonReload=yes" in shown and not check:
            self._do("systemctl", "daemon-reload")
        for wanted, verb, step in (
            ("UnitFileState=enabled", "enable", "is loaded at boot"),
            ("ActiveState=active", "start", "is started"),
        ):
            if wanted not in shown:
                report.steps.append(f"{UNIT} {step}")
                if not check:
                    self._do("systemctl", verb, UNIT)

    def _do(self, *command: str) -> None:
        done = self._run(command)
        if done.code != 0:
            raise FirewallError(f"`{' '.join(command)}` failed: {' '.join(done.error.split()) or 'it said nothing'}.")
