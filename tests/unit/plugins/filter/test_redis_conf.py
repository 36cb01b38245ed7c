# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Tutor's Redis is told for its next start."""

from __future__ import annotations

import hashlib

from ansible_collections.tutorops.scale.plugins.filter.redis_conf import FilterModule

SETTINGS = {
    "application": {"user": "openedx", "password": "app-secret"},
    "cluster": {
        "admin_user": "tutorops",
        "admin_password": "admin-secret",
        "replication_user": "tutorops_repl",
        "replication_password": "repl-secret",
    },
}


def digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def test_it_starts_closed_and_knows_its_accounts_by_their_digests() -> None:
    text = FilterModule().filters()["redis_conf"](SETTINGS)
    fresh = "on resetpass resetkeys resetchannels -@all"
    assert text.splitlines() == [
        f"user openedx {fresh} #{digest('app-secret')} ~* &* +@all -@admin",
        f"user tutorops {fresh} #{digest('admin-secret')} ~* &* +@all",
        f"user tutorops_repl {fresh} #{digest('repl-secret')} +psync +replconf +ping",
        "replicaof 127.0.0.1 1",
        "replica-priority 0",
        "repl-backlog-size 67108864",
    ]
    assert "secret" not in text
