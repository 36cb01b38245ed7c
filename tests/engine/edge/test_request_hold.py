# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What learners notice of a hold: that they wait, and nothing else."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from edge_world import eventually
from request_world import Learners, Platform, hold_in

#: How long a request may take on a machine that has other work, besides what it waits for.
SLACK = 1.5


def test_requests_wait_and_none_fails(platform: Platform) -> None:
    before = json.loads(platform.configuration())
    with Learners(platform.caddy) as learners:
        time.sleep(1.0)
        called = time.time()
        platform.hold.hold(10)
        begun = time.time()
        eventually(platform.hold.drained)
        drained = time.time()
        time.sleep(2.0)
        ended = time.time()
        platform.hold.release()
        released = time.time()
        time.sleep(1.0)
    assert not learners.failures
    assert not learners.begun_between(drained, ended)
    assert learners.longest < ended - called + SLACK
    assert json.loads(platform.configuration()) == before
    assert not platform.hold.held()
    print(
        f"{len(learners.answers)} requests, 0 failed; held after {begun - called:.3f} s, drained "
        f"{drained - begun:.3f} s later, held {ended - called:.3f} s, release {released - ended:.3f} s, longest wait "
        f"{learners.longest:.3f} s"
    )


def test_a_request_under_way_ends_where_it_is(platform: Platform) -> None:
    slow = Learners(platform.caddy)
    asking = threading.Thread(target=slow.ask, args=("POST", "/1.5"))
    asking.start()
    eventually(lambda: any(platform.proxy().requests().values()))
    platform.hold.hold(10)
    assert not platform.hold.drained()
    asking.join()
    assert not slow.failures and slow.longest < 1.5 + SLACK
    eventually(platform.hold.drained)
    platform.hold.release()
    assert not platform.hold.drained()


def test_calls_among_containers_pass(platform: Platform) -> None:
    platform.hold.hold(10)
    inside = Learners(platform.web, port=8000)
    inside.ask()
    platform.hold.release()
    assert not inside.failures and inside.longest < SLACK


def test_it_ends_by_itself(platform: Platform) -> None:
    before = json.loads(platform.configuration())
    with Learners(platform.caddy) as learners:
        platform.hold.hold(1.5)
        time.sleep(3.0)
    assert not learners.failures
    assert 1.0 < learners.longest < 1.5 + SLACK
    assert json.loads(platform.configuration()) == before and not platform.hold.held()


@pytest.mark.parametrize(("fate", "seconds"), [(signal.SIGKILL, 60.0), (signal.SIGSTOP, 1.0)])
def test_the_follower_ends_one_whose_owner_died_or_froze(
    platform: Platform, fate: signal.Signals, seconds: float
) -> None:
    before = json.loads(platform.configuration())
    with Learners(platform.caddy) as learners:
        owner = platform.holder(seconds)
        owner.send_signal(fate)
        begun = time.time()
        eventually(lambda: platform.hold.tidy() or learners.begun_between(begun, time.time()))
        time.sleep(1.0)
    assert not learners.failures
    assert learners.longest < 2.0 + SLACK
    # While its owner lives, Caddy's configuration is his.
    assert (json.loads(platform.configuration()) == before) is (fate == signal.SIGKILL)
    owner.kill()
    owner.wait()
    platform.hold.tidy()
    assert json.loads(platform.configuration()) == before and not platform.hold.held()


def test_the_next_one_takes_over_what_a_dead_one_left(platform: Platform) -> None:
    before = json.loads(platform.configuration())
    owner = platform.holder(30.0)
    owner.kill()
    owner.wait()
    with Learners(platform.caddy) as learners:
        platform.hold.hold(1.0)
        time.sleep(0.5)
        platform.hold.release()
    assert not learners.failures
    assert json.loads(platform.configuration()) == before


def test_a_busy_caddy_keeps_what_waits_when_it_is_given_a_configuration(platform: Platform) -> None:
    platform.starve_caddy()
    with Learners(platform.caddy, rate=150) as learners:
        for _ in range(50):
            platform.proxy().forget_connections()
            time.sleep(0.1)
    # The kernel's own race, between the last packet of a handshake and the end of its socket: see docs/architecture.md.
    assert len(learners.failures) <= 1, learners.failures
    assert len(learners.answers) > 500


def test_two_holds_at_once_are_refused(platform: Platform) -> None:
    platform.hold.hold(10)
    with pytest.raises(StoreError, match="a hold of requests"):
        hold_in(platform.paths).hold(10)
    platform.hold.release()


def test_a_caddy_that_was_started_anew_keeps_its_own(platform: Platform) -> None:
    owner = platform.holder(2.0)
    owner.kill()
    owner.wait()
    platform.restart_caddy()
    fresh = json.loads(platform.configuration())
    platform.hold.tidy()
    assert json.loads(platform.configuration()) == fresh and not platform.hold.held()
