# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that Redis writes, too: what is wanted is there once, what is not ours stays, and nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.redis_client import RedisError
from ansible_collections.tutorops.scale.plugins.module_utils.redis_config import acl_differs, differing, merge, tell
from hypothesis import given
from hypothesis import strategies as st

WANTED = {
    "maxmemory": "2gb",
    "save": "3600 1 300 100 60 10000",
    "masterauth": 'odd "quotes" and \\ # signs',
    "appendonly": "yes",
}
FIRST = {"min-replicas-to-write": "99", "replicaof": "127.0.0.1 1"}
#: As Redis 8.0 writes it after a failover: `save` in three lines, two of them at the end.
REWRITTEN = """\
{mark}
min-replicas-to-write 1
replicaof 10.0.0.2 6379
save 3600 1
maxmemory 2147483648
masterauth "odd \\"quotes\\" and \\\\ # signs"
appendonly yes
latency-tracking-info-percentiles 50 99 99.9
save 300 100
save 60 10000
"""


class Server:
    """Keeps settings, and knows one that it cannot take over."""

    def __init__(self, **settings: str) -> None:
        self.settings = {name.replace("_", "-"): value for name, value in settings.items()}

    def call(self, *words: Any) -> object:
        if words[:2] == ("CONFIG", "GET"):
            name = words[2]
            return [name.encode(), self.settings[name].encode()] if name in self.settings else []
        if words[2] == "aclfile":
            raise RedisError("CONFIG SET failed - can't set immutable config", "ERR")
        self.settings[words[2]] = words[3]
        return b"OK"


def first_file() -> str:
    return merge("# a package's example\nport 6379\n", WANTED, FIRST)


def rewritten() -> str:
    return REWRITTEN.replace("{mark}", first_file().splitlines()[0])


def test_the_package_s_file_is_replaced() -> None:
    text = first_file()
    assert "port" not in text and "replicaof 127.0.0.1 1" in text
    assert differing(text, WANTED) == []


def test_what_redis_wrote_is_as_wanted() -> None:
    assert differing(rewritten(), WANTED) == []
    assert merge(rewritten(), WANTED, FIRST) == rewritten()


def test_what_was_changed_is_put_right_and_the_rest_stays() -> None:
    text = merge(rewritten(), {**WANTED, "save": "900 1"}, FIRST)
    assert [line for line in text.splitlines() if line.startswith("save")] == ["save 900 1"]
    assert "replicaof 10.0.0.2 6379" in text and "min-replicas-to-write 1" in text
    assert differing(text, WANTED) == ["save"]


def test_a_setting_that_stands_twice_stands_once() -> None:
    text = merge(rewritten() + "appendonly no\n", WANTED)
    assert [line for line in text.splitlines() if line.startswith("appendonly")] == ["appendonly yes"]


def test_settings_that_may_stand_more_than_once() -> None:
    wanted = {"sentinel monitor": ["a 10.0.0.1 6379 2", "b 10.0.0.2 6379 2"]}
    text = merge(first_file() + "sentinel monitor a 10.0.0.1 6379 2\n", wanted)
    assert text.count("sentinel monitor") == 2 and differing(text, wanted) == []
    assert merge(text, wanted) == text


@given(st.dictionaries(st.sampled_from(sorted(WANTED)), st.text(st.characters(codec="ascii"), min_size=1)))
def test_a_second_run_changes_nothing(wanted: dict[str, str]) -> None:
    wanted = {name: " ".join(value.split()) or "x" for name, value in wanted.items()}
    once = merge(rewritten(), wanted)
    assert merge(once, wanted) == once


@pytest.mark.parametrize("dry", [False, True])
def test_a_server_is_told_what_it_does_not_have(dry: bool) -> None:
    server = Server(maxmemory="0", save="3600 1 300 100 60 10000", masterauth="", appendonly="yes")
    assert tell(server, WANTED, dry).changed == ["maxmemory", "masterauth"]
    assert server.settings["maxmemory"] == ("0" if dry else "2gb")


def test_what_a_server_cannot_take_over_asks_for_a_restart() -> None:
    done = tell(Server(aclfile="/old"), {"aclfile": "/new"})
    assert (done.changed, done.restart_needed) == ([], ["aclfile"])


def test_users_are_compared_by_what_they_may() -> None:
    text = "user app on #ab allkeys &* +@all -@admin\n"
    assert not acl_differs(text, ["user app on sanitize-payload #ab ~* resetchannels &* +@all -@admin"])
    assert acl_differs(text, ["user app on #cd ~* &* +@all -@admin"])
