# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the follower comes to know whether a local end is fenced."""

from __future__ import annotations

import json
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import probes as probing
from ansible_collections.tutorops.scale.plugins.module_utils.edge import EdgeSettings
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.store_lock import locked
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Tend

SETTINGS = EdgeSettings.from_dict(
    {
        "address": "10.0.0.10",
        "compose_project": "tutor_local",
        "stores": {"mysql": {"port": 3306, "service": "mysql", "service_port": 3306}},
    }
)


class Driver:
    """A driver that offers a probe."""

    @staticmethod
    def probe(settings: dict[str, Any]) -> probing.Probe:
        def ask(address: str, port: int) -> bool:
            if address == "gone":
                raise OSError("no route")
            return (address, port) == settings["fenced"]

        return ask


class Silent:
    """One that offers none."""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    found = Paths(etc=tmp_path, run=tmp_path / "run")
    (tmp_path / "stores").mkdir()
    found.settings("mysql").write_text(json.dumps({"fenced": "x"}))
    module = types.ModuleType("driver")
    module.Driver, module.Silent = Driver, Silent  # type: ignore[attr-defined]
    package = probing.__package__
    monkeypatch.setitem(sys.modules, f"{package}.stores.driver", module)
    monkeypatch.setattr(probing, "DRIVERS", {"mysql": "driver:Driver"})
    yield found


def test_the_driver_says_it(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "store_settings", lambda name, paths: {"fenced": ("172.18.0.2", 3306)})
    probe = probing.probes(SETTINGS, paths)["mysql"]
    assert probe("172.18.0.2", 3306) is True
    assert probe("172.18.0.3", 3306) is False


def test_what_cannot_be_asked_is_not_known(paths: Paths) -> None:
    assert probing.probes(SETTINGS, paths)["mysql"]("gone", 3306) is None


@pytest.mark.parametrize("drivers", [{}, {"mysql": "driver:Silent"}, {"mysql": "driver:Absent"}, {"mysql": "absent:X"}])
def test_without_an_offer_there_is_no_probe(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, drivers: dict[str, str]
) -> None:
    monkeypatch.setattr(probing, "DRIVERS", drivers)
    assert probing.probes(SETTINGS, paths) == {}


def test_without_settings_there_is_no_probe(paths: Paths) -> None:
    paths.settings("mysql").unlink()
    assert probing.probes(SETTINGS, paths) == {}


class TestTends:
    """What a driver does for its container, in the follower's time but not in its way."""

    @pytest.fixture
    def said(self) -> list[str]:
        return []

    def tend(self, paths: Paths, said: list[str], work: Callable[[str, int], None]) -> Tend:
        Driver.tend = staticmethod(lambda settings: work)  # type: ignore[attr-defined]
        return probing.tends(SETTINGS, paths, said.append)["mysql"]

    @pytest.fixture(autouse=True)
    def no_tend_left(self) -> Iterator[None]:
        yield
        if hasattr(Driver, "tend"):
            del Driver.tend

    def test_only_who_offers_it_is_asked(self, paths: Paths, said: list[str]) -> None:
        assert probing.tends(SETTINGS, paths, said.append) == {}

    def test_it_is_told_of_the_container(self, paths: Paths, said: list[str]) -> None:
        seen: list[tuple[str, int]] = []
        self.tend(paths, said, lambda address, port: seen.append((address, port)))("172.18.0.2", 6379)
        eventually(lambda: seen == [("172.18.0.2", 6379)])
        assert not said

    def test_it_never_runs_twice_at_once_and_nobody_waits(self, paths: Paths, said: list[str]) -> None:
        go, began = threading.Event(), []

        def slow(address: str, port: int) -> None:
            began.append(address)
            go.wait(20)

        tend = self.tend(paths, said, slow)
        for _ in range(5):
            tend("172.18.0.2", 6379)
        assert len(began) <= 1
        go.set()
        eventually(lambda: tend("172.18.0.3", 6379) or "172.18.0.3" in began)

    def test_trouble_is_said_once_and_so_is_its_end(self, paths: Paths, said: list[str]) -> None:
        trouble, calls = [StoreError("it refuses")], []

        def work(address: str, port: int) -> None:
            calls.append(address)
            if trouble:
                raise trouble[0]

        tend = self.tend(paths, said, work)
        eventually(lambda: tend("a", 1) or len(calls) >= 3)
        trouble.clear()
        eventually(lambda: tend("a", 1) or len(said) == 2)
        assert said == ["mysql: it refuses", "mysql: its container is as it has to be again"]

    def test_a_stage_that_runs_comes_first_without_a_word(self, paths: Paths, said: list[str]) -> None:
        done = []

        def work(address: str, port: int) -> None:
            with locked(paths.run / "mysql.lock", "tend", 0.0):
                done.append(address)

        tend = self.tend(paths, said, work)
        with locked(paths.run / "mysql.lock", "a stage", 0.0):
            tend("a", 1)
            eventually(lambda: not alive(tend))
        assert not done and not said
        eventually(lambda: tend("a", 1) or done)


def alive(tend: Any) -> bool:
    return bool(tend._thread is not None and tend._thread.is_alive())


def eventually(check: Callable[[], object], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.005)
