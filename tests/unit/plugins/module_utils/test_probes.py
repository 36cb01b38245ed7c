# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the follower comes to know whether a local end is fenced."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import probes as probing
from ansible_collections.tutorops.scale.plugins.module_utils.edge import EdgeSettings
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths

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
    found = Paths(etc=tmp_path)
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
