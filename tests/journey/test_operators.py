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
    assert site.pointer() == pointer
    key = site.write()

    before = site.containers()
    site.tutor("config", "save")
    site.tutor("local", "do", "init")
    site.tutor("local", "start", "-d")
    assert site.containers() == before, "something that served was made anew"
    assert site.pointer() == pointer
    assert site.finds(key)

    if stage != "committed":
        site.inside(site.app, "docker", "restart", "tutor_local-mysql-1")
        site.wait_answers()
        assert site.finds(key)
        assert site.writable_ends() == [pointer]

    site.tutor("local", "reboot", "-d")
    site.wait_answers()
    assert site.finds(key)

    site.reboot()
    assert site.pointer() == pointer
    assert site.finds(key)
    assert site.finds(site.write())
    if stage != "committed":
        assert site.writable_ends() == [pointer]
