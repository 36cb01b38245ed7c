# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of nft and systemd, in which order, and when not; molecule asks real ones."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import firewall
from ansible_collections.tutorops.scale.plugins.module_utils.firewall import Done, Firewall, FirewallError, Rule
from ansible_collections.tutorops.scale.plugins.module_utils.host_files import FilesError

RULES = [Rule((9200, 3306), ("10.0.0.12", "10.0.0.11", "10.0.0.11", "fd00::/64"))]


class Host:
    """A host with nftables and systemd that a test has made up."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = ""
        self.enabled = self.active = False
        self.loaded = 0
        self.broken = ""
        self.did: list[str] = []
        self.file = root / "etc/tutorops/firewall/mysql.nft"
        self.unit = root / "etc/systemd/system/tutorops-firewall.service"
        self.unit.parent.mkdir(parents=True)
        # Stands for `nft -c -f FILE`, which host_files runs.
        nft = root / "nft"
        nft.write_text('#!/bin/sh\ntest "$1 $2" = "-c -f" && grep -q "^table inet" "$3"\n')
        nft.chmod(0o755)
        monkeypatch.setattr(firewall, "NFT", str(nft))
        self.nft = str(nft)
        self.firewall = Firewall("mysql", self.run, root, pwd.getpwuid(os.geteuid()).pw_name)

    def run(self, command: Sequence[str]) -> Done:
        words = " ".join(command).replace(self.nft, "nft").replace(str(self.file), "FILE")
        if self.broken and words.startswith(self.broken):
            return Done(1, "", "it is broken\n")
        if words == "nft list table inet tutorops_mysql":
            return Done(0, self.kernel, "") if self.kernel else Done(1, "", "Error: No such file or directory")
        if words.startswith("systemctl show"):
            states = f"UnitFileState={'enabled' if self.enabled else 'disabled'}\n"
            states += f"ActiveState={'active' if self.active else 'inactive'}\n"
            # As systemd does: it loads a unit when it is first asked about, and compares times from then on.
            now = self.unit.stat().st_mtime_ns if self.unit.exists() else 0
            self.loaded = self.loaded or now
            stale = self.loaded != now
            return Done(0, f"{states}NeedDaemonReload={'yes' if stale else 'no'}\n", "")
        self.did.append(words)
        if words == "nft -f FILE":
            self.kernel = self.file.read_text()
        elif words == "nft delete table inet tutorops_mysql":
            if not self.kernel:
                return Done(1, "", "Error: No such file or directory")
            self.kernel = ""
        elif words == "systemctl daemon-reload":
            self.loaded = self.unit.stat().st_mtime_ns if self.unit.exists() else 0
        elif words == "systemctl disable --now tutorops-firewall.service":
            self.enabled = self.active = False
        elif words == "systemctl enable tutorops-firewall.service":
            self.enabled = True
        elif words == "systemctl start tutorops-firewall.service":
            self.active = True
        return Done(0, "", "")

    def calls(self) -> list[str]:
        found, self.did = self.did, []
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


ALL = [
    "nft -f FILE",
    "systemctl enable tutorops-firewall.service",
    "systemctl start tutorops-firewall.service",
]


RETIRED = ["systemctl disable --now tutorops-firewall.service", "systemctl daemon-reload"]


def test_it_is_made_once_and_looked_at_ever_after(host: Host) -> None:
    predicted = host.firewall.guard(RULES, check=True)
    assert predicted.changed and host.calls() == [] and not host.file.exists()
    done = host.firewall.guard(RULES, check=False)
    assert done.steps == predicted.steps and [one.shown() for one in done.files] == [
        one.shown() for one in predicted.files
    ]
    assert host.calls() == ALL
    before = host.file.stat(), host.unit.stat()
    assert not host.firewall.guard(RULES, check=False).changed
    assert host.calls() == [] and (host.file.stat(), host.unit.stat()) == before


def test_the_table(host: Host) -> None:
    host.firewall.guard(RULES, check=False)
    chain = [line.strip() for line in host.file.read_text().splitlines()]
    assert chain[chain.index("chain input {") :] == [
        "chain input {",
        "type filter hook input priority filter - 5; policy accept;",
        "iif lo accept",
        "ct state established,related accept",
        "ip saddr 10.0.0.11 tcp dport { 3306, 9200 } accept",
        "ip saddr 10.0.0.12 tcp dport { 3306, 9200 } accept",
        "ip6 saddr fd00::/64 tcp dport { 3306, 9200 } accept",
        "tcp dport { 3306, 9200 } reject with tcp reset",
        "}",
        "}",
    ]


def test_other_rules_are_another_table_and_nothing_else(host: Host) -> None:
    host.firewall.guard(RULES, check=False)
    host.calls()
    report = host.firewall.guard([Rule((3306,), ("10.0.0.11",))], check=False)
    assert [one.wanted.path for one in report.files] == [host.file] and host.calls() == ["nft -f FILE"]
    assert "10.0.0.12" not in host.kernel


def test_what_somebody_undid_is_made_up_for(host: Host) -> None:
    host.firewall.guard(RULES, check=False)
    host.calls()
    host.kernel = ""  # somebody flushed the ruleset
    assert host.firewall.guard(RULES, check=False).steps == ["table inet tutorops_mysql is loaded"]
    assert host.calls() == ["nft -f FILE"]
    host.enabled = False
    assert host.firewall.guard(RULES, check=True).steps == ["tutorops-firewall.service is loaded at boot"]
    host.firewall.guard(RULES, check=False)
    assert host.calls() == ["systemctl enable tutorops-firewall.service"] and host.enabled
    host.unit.write_text("[Unit]\n")
    host.broken = "systemctl daemon-reload"
    with pytest.raises(FirewallError, match="failed: it is broken"):
        host.firewall.guard(RULES, check=False)
    host.broken = ""
    host.firewall.guard(RULES, check=False)
    assert host.calls() == ["systemctl daemon-reload"] and host.unit.read_text() != "[Unit]\n"
    assert not host.firewall.guard(RULES, check=False).changed and host.calls() == []


@pytest.mark.parametrize("step", range(3))
def test_a_run_that_broke_off_is_finished_by_the_next(host: Host, step: int) -> None:
    host.broken = ALL[step]
    with pytest.raises(FirewallError, match="failed: it is broken"):
        host.firewall.guard(RULES, check=False)
    host.broken = ""
    host.firewall.guard(RULES, check=False)
    assert host.kernel and host.enabled and host.active
    assert not host.firewall.guard(RULES, check=False).changed


def test_a_table_that_nft_refuses_is_not_written(host: Host) -> None:
    Path(host.nft).write_text("#!/bin/sh\necho 'syntax error' >&2\nexit 1\n")
    with pytest.raises(FilesError, match=r"mysql.nft was left as it was, .* syntax error"):
        host.firewall.guard(RULES, check=False)
    assert host.calls() == [] and list(host.file.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["db1", "db1.example.org", "10.0.0.300", "10.0.0.1-10.0.0.9", "10.0.0.0/33", ""])
def test_names_are_refused(host: Host, name: str) -> None:
    with pytest.raises(FirewallError, match="cannot be let through the firewall, because only addresses can"):
        host.firewall.guard([Rule((3306,), ("10.0.0.11", name))], check=True)
    assert not host.file.exists()


def test_a_host_without_nft(host: Host) -> None:
    def run(command: Sequence[str]) -> Done:
        return Done(127, "", "missing") if command[0] == host.nft else host.run(command)

    host.firewall._run = run
    assert host.firewall.guard(RULES, check=True).changed
    with pytest.raises(FirewallError, match="install the package nftables"):
        host.firewall.guard(RULES, check=False)
    assert not host.file.exists()


def test_it_is_taken_away(host: Host) -> None:
    host.firewall.guard(RULES, check=False)
    host.calls()
    assert host.firewall.open(check=True).changed and host.kernel and host.calls() == []
    assert host.firewall.open(check=False).changed
    assert host.calls() == ["nft delete table inet tutorops_mysql", *RETIRED]
    assert not host.kernel and not host.file.exists() and not host.unit.exists() and not host.enabled
    assert not host.firewall.open(check=False).changed and host.calls() == []
    host.firewall.guard(RULES, check=False)
    host.kernel = ""  # a run that broke off in between
    assert host.firewall.open(check=False).changed and not host.file.exists()


def test_the_unit_stays_while_another_table_is_left(host: Host) -> None:
    host.firewall.guard(RULES, check=False)
    other = host.file.with_name("redis.nft")
    other.write_text("")
    host.calls()
    host.firewall.open(check=False)
    assert host.calls() == ["nft delete table inet tutorops_mysql"] and host.enabled
    other.unlink()
    host.broken = "systemctl disable"
    with pytest.raises(FirewallError, match="failed: it is broken"):
        host.firewall.open(check=False)
    host.broken = ""
    assert host.firewall.open(check=False).steps == ["tutorops-firewall.service is removed"] and not host.unit.exists()


def test_a_table_that_cannot_be_removed_stays_known(host: Host) -> None:
    host.firewall.guard(RULES, check=False)
    host.broken = "nft delete"
    with pytest.raises(FirewallError, match="cannot be removed: it is broken"):
        host.firewall.open(check=False)
    assert host.file.exists()
