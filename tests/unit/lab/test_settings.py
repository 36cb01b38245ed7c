"""Choices come from the environment, and bad ones are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lablib import hosts, platform, state
from lablib.errors import LabError
from lablib.images import Catalogue
from lablib.settings import SHARED, STORES, Settings


def test_defaults_and_empty_values() -> None:
    assert Settings.from_environment({"TUTOROPS_LAB_PREFIX": ""}) == Settings()


def test_every_kind_of_value() -> None:
    settings = Settings.from_environment(
        {"TUTOROPS_LAB_PREFIX": "x", "TUTOROPS_LAB_ROWS": "7", "TUTOROPS_LAB_CACHE": "/srv/cache", "OTHER": "1"}
    )
    assert (settings.prefix, settings.rows, settings.cache) == ("x", 7, Path("/srv/cache"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TUTOROPS_LAB_ROWS", "many"),
        ("TUTOROPS_LAB_SUBNET", "172.29.10.0/16"),
        ("TUTOROPS_LAB_SUBNET", "nonsense"),
        ("TUTOROPS_LAB_SUBNET", "fd00::/64"),
        ("TUTOROPS_LAB_DATA_HOSTS", "99"),
        ("TUTOROPS_LAB_STORES", "mysql,oracle"),
        ("TUTOROPS_LAB_STORES", "mysql, redis"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(LabError, match=variable):
        Settings.from_environment({variable: value})


def test_names_and_addresses() -> None:
    settings = Settings(prefix="b", subnet="10.1.2.0/24", data_hosts=2)
    assert {host: settings.address(host) for host in settings.hosts} == {
        "b-app": "10.1.2.10",
        "b-data-1": "10.1.2.11",
        "b-data-2": "10.1.2.12",
    }


def test_the_inventory_has_a_group_for_every_store_and_moves_the_same_ones_by_default() -> None:
    inventory = SHARED / "inventory"
    groups = yaml.safe_load((inventory / "hosts.yml").read_text())["lab"]["children"]
    members = {name: set(group["hosts"]) for name, group in groups.items() if name != "tutor"}
    assert members == {store: {f"lab-data-{number}" for number in (1, 2, 3)} for store in STORES}
    chosen = yaml.safe_load((inventory / "group_vars" / "lab.yml").read_text())["offload_stores"]
    assert f"'TUTOROPS_LAB_STORES') | default('{Settings().stores}', true)" in chosen


def test_every_store_has_a_volume_on_a_data_host() -> None:
    settings = Settings()
    assert sorted(hosts.volumes(settings, settings.data[0]).values()) == sorted(f"/var/lib/{store}" for store in STORES)


def test_two_labs_share_no_volume() -> None:
    one, two = Settings(), Settings(prefix="b")
    names = [set(hosts.volumes(lab, host)) for lab in (one, two) for host in lab.hosts]
    assert len(set().union(*names)) == sum(len(group) for group in names)


def test_size_and_recipe_decide_the_prepared_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Path(__file__).resolve().parents[3] / "molecule" / "shared" / "images"
    catalogue = Catalogue.load(Settings(), directory)
    monkeypatch.setattr(Catalogue, "tag", lambda self, name: f"{name}:1")
    key = state.key(Settings(), catalogue)
    assert key == state.key(Settings(prefix="other", cache=Path("/elsewhere")), catalogue)
    assert key != state.key(Settings(rows=1), catalogue)
    assert key != state.key(Settings(megabytes=1), catalogue)
    monkeypatch.setattr(platform, "RECIPE", "another way")
    assert key != state.key(Settings(), catalogue)
