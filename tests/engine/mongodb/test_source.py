# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to Tutor's container, and that it can be taken away again; also by whom is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import Limits
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import at_rest, differing
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_move import in_end
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_tend import tender
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mongodb import MongodbStore
from courses import fill
from opened import as_found, attached, member, open_store
from platform_double import FileDoor, Writer
from servers import AS_FOUND, AS_MEMBER, MEMBERS, Site, await_true, docker

#: After which notes of a move, or phases of a stage, the driver is killed.
STEPS = ("seats", "hold", "drain", "pause", "step down", "decide", "open", "way back")
RESTART = ("holding requests", "making the container anew", "beginning the set", "accounts")


def quiet(phase: str, figures: dict[str, Any]) -> None:
    """Nobody listens."""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("killed"))
    made.reachable()
    try:
        made.start()
        fill({"host": made.source_address}, structures=200, files=1)
        yield made
    finally:
        if not os.environ.get("TUTOROPS_ENGINE_KEEP"):
            made.remove()


@pytest.fixture
def door(site: Site) -> FileDoor:
    return FileDoor(site.folder)


def killed_at(site: Site, what: str, step: str) -> None:
    """Run a stage in a process of its own, which kills itself with signal 9 when it tells a step."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("driver.py")), str(site.folder), what, step],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, f"{what} {step}: {done.returncode} {done.stderr[-2000:]}"


def follower(site: Site, store: MongodbStore) -> None:
    """One look of the follower, as it comes every few seconds."""
    paths = Paths(var=site.folder / "var", run=site.folder / "run")
    paths.pointer("mongodb").parent.mkdir(parents=True, exist_ok=True)
    paths.pointer("mongodb").write_text("mongodb local\n")
    rendered = site.folder / "tutor" / "env" / "local" / "docker-compose.prod.yml"
    rendered.parent.mkdir(parents=True, exist_ok=True)
    rendered.write_text("command: mongod --keyFile /data/db/tutorops.keyfile")
    tender(store.settings, store.local, store.set, paths)("", 0)


@pytest.mark.parametrize("step", RESTART)
def test_a_kill_in_the_restart_ends_with_a_set(site: Site, door: FileDoor, step: str) -> None:
    options = as_found(site)
    with pymongo.MongoClient(**options) as client:
        before = client["openedx"]["modulestore.structures"].count_documents({})
    killed_at(site, "prepare", step)
    site.finish_interrupted()
    store = open_store(site, door)
    await_true(lambda: store.local.state().reachable, "the container")
    if step in ("beginning the set", "accounts"):
        follower(site, store)
        assert store.local.state().primary
    store.prepare(quiet)
    assert store.local.state().primary and store.local.has_accounts()
    with pymongo.MongoClient(**attached(site)) as client:
        assert client["openedx"]["modulestore.structures"].count_documents({}) == before


def test_kills_at_every_step_of_both_moves_lose_nothing(site: Site, door: FileDoor) -> None:
    store = open_store(site, door)
    store.prepare(quiet)
    store.follow(quiet)
    (store.settings.state / "compare.json").write_text(json.dumps({"equal": True, "at": "2999-01-01T00:00:00+00:00"}))
    ends = []
    for step in STEPS:
        for taking in (CLUSTER, LOCAL):
            if door.pointer() == taking:
                open_store(site, door).move(LOCAL if taking == CLUSTER else CLUSTER, Limits(), lambda said: None)
            with Writer(f"{step}-{taking}", attached(site), door) as writer:
                time.sleep(0.3)
                begun = time.monotonic()
                killed_at(site, f"move-{taking}", step)
                # A set of its own goes on without whoever moved it; what is left is put in order by the next one.
                serving = open_store(site, door).settle(Limits())
                took = time.monotonic() - begun
                time.sleep(0.5)
            ends.append((step, taking, serving))
            print(f"\nkilled at '{step}' on the way to {taking}: {serving} serves after {took:.1f} s, "
                  f"longest write {writer.longest:.2f} s, {len(writer.acknowledged)} acknowledged")  # fmt: skip
            assert writer.failed == [] and serving == door.pointer()
            config, primary = store.set.config(), store.set.primary()
            assert primary is not None and in_end(primary, store.settings.local_host, serving)
            assert differing(config, at_rest(config, serving, store.settings.local_host)) == []
            for name in ("source", *MEMBERS):
                options = {**as_found(site), "directConnection": True} if name == "source" else member(site, name)
                await_true(lambda options=options, writer=writer: writer.lost(options) == [], name, 15)
    decided = {step for step, taking, serving in ends if serving == taking}
    assert decided == {"open", "way back"}


def test_it_is_left_as_it_was_found(site: Site, door: FileDoor) -> None:
    store = open_store(site, door)
    store.prepare(quiet)
    store.follow(quiet)
    with Writer("detach", attached(site), door) as writer:
        assert store.detach()
    assert writer.failed == []
    # The platform is configured as it was by now, and rolled to connect to the container alone.
    site.rendered = AS_FOUND
    direct = {**as_found(site), "directConnection": True}
    with Writer("restore", direct, door, web=True) as writer:
        time.sleep(0.5)
        done = store.restore(quiet)
        time.sleep(0.5)
    print(f"\nrestore: {done}, longest write {writer.longest:.2f} s")
    assert writer.failed == [] and writer.lost(direct) == []
    assert store.local.state().state == "STANDALONE"
    with pymongo.MongoClient(**direct) as client:
        assert client.admin.command("usersInfo", {"forAllDBs": True})["users"] == []
        assert "oplog.rs" not in client["local"].list_collection_names()
    assert not [path.name for path in store.settings.data.iterdir() if path.name.startswith("tutorops")]
    assert not store.restore(quiet)["changed"]
    # And it can begin anew, with members that were emptied.
    site.rendered = AS_MEMBER
    for name in MEMBERS:
        docker("rm", "--force", "--volumes", site.container(name))
        site.start_member(name)
    assert store.prepare(quiet)["changed"] and store.follow(quiet)["changed"]
    assert store.compare(quiet).equal
