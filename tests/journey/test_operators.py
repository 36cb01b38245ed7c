"""What operators do on any day, at every stage of the journey: the platform works, and the edge points where it did."""

from __future__ import annotations

import pytest
from lab_site import Site

STAGES = [
    ("attached", "offload.yml", {"offload_until": "follow"}, ["--tags", "plan,provision,edge,attach"], "local"),
    ("following", "offload.yml", {"offload_until": "follow"}, [], "local"),
    ("cut over", "offload.yml", {}, [], "cluster"),
    ("rolled back", "rollback.yml", {}, [], "local"),
    ("cut over again", "offload.yml", {"offload_again": True}, [], "cluster"),
    ("committed", "commit.yml", {"offload_commit": True}, [], "cluster"),
]


@pytest.mark.parametrize(
    ("stage", "playbook", "variables", "options", "pointer"), STAGES, ids=[one[0] for one in STAGES]
)
def test_ordinary_actions_at(
    site: Site, stage: str, playbook: str, variables: dict[str, object], options: list[str], pointer: str
) -> None:
    site.playbook(playbook, variables, *options)
    stands_at(site, pointer)
    written = {store.name: site.write(store.name) for store in site.stores}

    before = site.containers()
    site.tutor("config", "save")
    site.tutor("local", "do", "init")
    site.tutor("local", "start", "-d")
    assert site.containers() == before, "something that served was made anew"
    stands_at(site, pointer)
    finds(site, written)

    if stage != "committed":
        for store in site.stores:
            site.inside(site.app, "docker", "restart", store.container)
            site.only_writable(store, pointer)
        site.wait_answers()
        finds(site, written)

    site.tutor("local", "reboot", "-d")
    site.wait_answers()
    finds(site, written)

    site.reboot()
    for store in site.stores:
        site.only_writable(store, pointer)
    stands_at(site, pointer)
    finds(site, written)
    finds(site, {store.name: site.write(store.name) for store in site.stores})
    assert site.courses_whole()


def stands_at(site: Site, pointer: str) -> None:
    """Every store's pointer names this end."""
    assert {store.name: site.pointer(store.name) for store in site.stores} == {
        store.name: pointer for store in site.stores
    }


def finds(site: Site, written: dict[str, str]) -> None:
    """The LMS finds each write."""
    assert [ledger for ledger, key in written.items() if not site.finds(key, ledger)] == []
