# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_snapshot import TRIES, freeze, let_go, snapshots
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


class World:
    """Two servers that count transactions. Each snapshot on the first one is followed by a commit, some times."""

    def __init__(
        self,
        source: int,
        applied: int,
        commits: int = 0,
        stray: bool = False,
        stuck: bool = False,
        owned: Sequence[str] = (),
    ) -> None:
        self.source, self.applied, self.commits = source, applied, commits
        self.owned = list(owned)
        self.stray, self.stuck = stray, stuck
        self.applier = True
        self.until: int | None = None
        self.seen: list[int] = []

    def snapshot(self) -> None:
        self.seen.append(self.source)
        if self.commits:
            self.commits -= 1
            self.source += 1


class Server:
    """Answers for one of them what a snapshot asks."""

    def __init__(self, world: World, standby: bool) -> None:
        self.world, self.standby = world, standby
        self.frozen_at: int | None = None

    @property
    def server(self) -> Server:
        return self

    name = "fake"

    def dial(self, timeout: float) -> Server:
        return Server(self.world, self.standby)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def execute(self, sql: str, args: Any = ()) -> int:
        world = self.world
        if sql.startswith("STOP REPLICA SQL_THREAD"):
            world.applier, world.until = False, None
        elif sql.startswith("START REPLICA SQL_THREAD UNTIL"):
            world.until = int(sql.split("-")[-1].split("'")[0])
        elif sql.startswith("START REPLICA SQL_THREAD"):
            world.applier = True
        elif sql.startswith("START TRANSACTION"):
            if self.standby:
                assert not world.applier
                self.frozen_at = world.applied
            else:
                world.snapshot()
        return 0

    def query(self, sql: str, args: Any = ()) -> list[dict[str, Any]]:
        return []

    def value(self, sql: str, args: Any = ()) -> Any:
        world = self.world
        if sql.startswith("SELECT @@global.gtid_owned"):
            return world.owned.pop(0) if world.owned else ""
        if sql.startswith("SELECT @@global.gtid_executed"):
            return f"{UUID}:1-{world.source}"
        wanted = int(str(args[0]).rpartition("-")[2])
        if sql.startswith("SELECT WAIT_FOR"):
            if world.stuck:
                return 1
            assert world.until == wanted
            world.applied = wanted
            return 0
        if sql.startswith("SELECT GTID_SUBTRACT(@@global"):
            return f"{UUID}:999" if world.stray else ""
        return f"{UUID}:{world.applied + 1}-{wanted}" if world.applied < wanted else ""


def taken(world: World) -> Any:
    return snapshots(Server(world, False), Server(world, True), "migrate", 2, clock=iter(range(10**6)).__next__)


def test_both_ends_are_seen_at_one_position() -> None:
    world = World(source=10, applied=7)
    with taken(world) as both:
        assert both.position == f"{UUID}:1-10"
        assert (both.exact, both.tries) == (True, 1)
        assert [one.frozen_at for one in both.standby] == [10, 10]
        assert world.applier, "the end that follows goes on while it is read"


def test_a_snapshot_between_which_somebody_wrote_is_made_again() -> None:
    world = World(source=10, applied=10, commits=5)
    with taken(world) as both:
        assert (both.exact, both.tries) == (True, 4)
        assert both.position == f"{UUID}:1-15"
        assert world.seen[-2:] == [15, 15]
        assert [one.frozen_at for one in both.standby] == [15, 15]


def test_a_source_that_never_rests_is_taken_as_it_is() -> None:
    with taken(World(source=10, applied=10, commits=10**6)) as both:
        assert (both.exact, both.tries) == (False, TRIES)


@pytest.mark.parametrize("trouble", ["stray", "stuck"])
def test_the_applier_goes_on_whatever_happens(trouble: str) -> None:
    world = World(source=10, applied=7, stray=trouble == "stray", stuck=trouble == "stuck")
    with (
        pytest.raises(StoreError, match="somebody wrote to it" if trouble == "stray" else "did not reach"),
        taken(world),
    ):
        pass
    assert world.applier


def test_a_transaction_on_its_way_is_no_rest() -> None:
    """It may be visible already, and is not executed yet."""
    world = World(source=10, applied=10, owned=[f"{UUID}:11", "", f"{UUID}:11", "", ""])
    with taken(world) as both:
        assert (both.exact, both.tries) == (True, 3)


def test_a_copy_waits_until_the_source_rests() -> None:
    world = World(source=10, applied=10, commits=30)
    servers = [Server(world, False), Server(world, False)]
    waited: list[float] = []
    position = freeze(servers, 60.0, clock=lambda: float(len(waited)), wait=waited.append)
    assert position == f"{UUID}:1-40"
    assert world.seen[-2:] == [40, 40]
    assert len(waited) == 15


def test_a_copy_of_a_source_that_never_rests_is_refused() -> None:
    world = World(source=10, applied=10, commits=10**6)
    ticks = iter(range(10**6))
    with pytest.raises(StoreError, match="writes never paused for a moment in 60 s.*less busy"):
        freeze([Server(world, False)], 60.0, clock=lambda: float(next(ticks)), wait=lambda seconds: None)


def test_what_was_read_is_let_go_without_ending_the_snapshot() -> None:
    said: list[str] = []

    class Noting(Server):
        def execute(self, sql: str, args: Any = ()) -> int:
            said.append(sql)
            return super().execute(sql, args)

    server = Noting(World(source=1, applied=1), False)
    freeze([server], 1.0)
    let_go(server)
    assert said[-3].startswith("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    assert said[-2].removeprefix("SAVEPOINT ") == said[-1].removeprefix("ROLLBACK TO SAVEPOINT ")
