"""An image's tag changes with everything that it is made of, and with nothing else."""

from __future__ import annotations

import fcntl
import io
import os
import tarfile
from pathlib import Path

import pytest
from lablib import images, materials
from lablib.errors import LabError
from lablib.images import Catalogue, Image, hash_of, once_more, pack, pin
from lablib.settings import Settings


@pytest.fixture
def contexts(tmp_path: Path) -> Path:
    """A small tree: two images on a base, and one that copies out of another."""
    for name, dockerfile in {
        "base": "FROM tutorops-lab/os\n",
        "redis": "FROM tutorops-lab/base\nCOPY entrypoint /\n",
        "packages": "FROM tutorops-lab/base\n",
        "host": "FROM tutorops-lab/base\nCOPY --from=tutorops-lab/packages /srv /srv\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(dockerfile)
    entrypoint = tmp_path / "redis" / "entrypoint"
    entrypoint.write_text("#!/bin/sh\n")
    entrypoint.chmod(0o755)
    return tmp_path


def tags(directory: Path, settings: Settings | None = None) -> dict[str, str]:
    catalogue = Catalogue.load(settings or Settings(), directory)
    return {name: catalogue.tag(name) for name in catalogue.images}


def test_same_inputs_same_tags(contexts: Path) -> None:
    before = tags(contexts)
    for path in contexts.rglob("*"):
        os.utime(path, (1, 1))
    assert tags(contexts) == before


def test_a_changed_file_changes_its_image_only(contexts: Path) -> None:
    before = tags(contexts)
    (contexts / "redis" / "entrypoint").write_text("#!/bin/sh\nexec true\n")
    after = tags(contexts)
    assert {name for name in before if before[name] != after[name]} == {"redis"}


def test_the_executable_bit_counts(contexts: Path) -> None:
    before = tags(contexts)
    (contexts / "redis" / "entrypoint").chmod(0o644)
    assert tags(contexts)["redis"] != before["redis"]


def test_a_new_name_counts(contexts: Path) -> None:
    before = tags(contexts)
    (contexts / "redis" / "entrypoint").rename(contexts / "redis" / "entry-point")
    assert tags(contexts)["redis"] != before["redis"]


def test_a_parent_counts_for_all_below(contexts: Path) -> None:
    before = tags(contexts)
    (contexts / "base" / "Dockerfile").write_text("FROM tutorops-lab/os\nENV LANG=C.UTF-8\n")
    after = tags(contexts)
    assert all(before[name] != after[name] for name in before)


def test_an_image_copied_from_is_a_parent(contexts: Path) -> None:
    before = tags(contexts)
    (contexts / "packages" / "index").write_text("new")
    after = tags(contexts)
    assert {name for name in before if before[name] != after[name]} == {"packages", "host"}


def test_the_mirror_counts(contexts: Path) -> None:
    before = tags(contexts)
    after = tags(contexts, Settings(mirror="http://mirror.example.org/debian"))
    assert all(before[name] != after[name] for name in before)


def test_compiled_python_does_not_count(contexts: Path) -> None:
    before = tags(contexts)
    (contexts / "redis" / "__pycache__").mkdir()
    (contexts / "redis" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert tags(contexts) == before


def test_tutor_version_counts_for_the_app_server_only() -> None:
    ours, older = tags(images.SHARED / "images"), tags(images.SHARED / "images", Settings(tutor="18.*"))
    assert {name for name in ours if ours[name] != older[name]} == {"appserver"}


def test_every_image_that_tutor_runs_is_there() -> None:
    assert set(images.INNER) <= set(Catalogue.load(Settings()).images)


def test_hash_knows_where_a_part_ends() -> None:
    assert hash_of([b"ab", b"c"]) != hash_of([b"a", b"bc"])


def test_order_brings_in_what_is_needed(contexts: Path) -> None:
    catalogue = Catalogue.load(Settings(), contexts)
    assert catalogue.order(["host"]) == {
        "host": {"base", "packages"},
        "packages": {"base"},
        "base": {"os"},
        "os": set(),
    }


def test_builder_comes_before_what_it_feeds() -> None:
    order = Catalogue.load(Settings()).order(["mongodb"])
    assert materials.BUILDER in order["mongodb"]


def test_an_unknown_parent_is_named(contexts: Path) -> None:
    (contexts / "redis" / "Dockerfile").write_text("FROM tutorops-lab/nowhere\n")
    with pytest.raises(LabError, match="'nowhere'"):
        tags(contexts)


def test_build_takes_parents_first(contexts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(Catalogue, "build_one", lambda self, name: built.append(name))
    Catalogue.load(Settings(), contexts).build()
    assert sorted(built) == ["base", "host", "os", "packages", "redis"]
    assert built[:2] == ["os", "base"]
    assert built.index("packages") < built.index("host")


def test_build_takes_first_what_most_others_need(contexts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(Catalogue, "build_one", lambda self, name: built.append(name))
    (contexts / "aside").mkdir()
    (contexts / "aside" / "Dockerfile").write_text("FROM tutorops-lab/base\n")
    Catalogue.load(Settings(parallel=1), contexts).build()
    assert built == ["os", "base", "packages", "aside", "host", "redis"]


def test_an_image_that_exists_is_tagged_only(contexts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(images, "exists", lambda tag: True)
    monkeypatch.setattr(images, "docker", lambda *arguments, **_: commands.append(arguments))
    catalogue = Catalogue.load(Settings(cache=tmp_path), contexts)
    catalogue.build_one("redis")
    assert commands == [("tag", catalogue.tag("redis"), "tutorops-lab/redis:latest")]


def test_two_labs_do_not_build_the_same_image(contexts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue.load(Settings(cache=tmp_path), contexts)
    free: list[bool] = []

    def look(self: Catalogue, name: str, tag: str) -> None:
        with (tmp_path / "redis.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free.append(True)
            except BlockingIOError:
                free.append(False)

    monkeypatch.setattr(Catalogue, "_make", look)
    monkeypatch.setattr(images, "exists", lambda tag: False)
    monkeypatch.setattr(images, "docker", lambda *arguments, **_: "")
    catalogue.build_one("redis")
    with (tmp_path / "redis.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert free == [False]


@pytest.mark.parametrize(
    "said",
    [
        "E: Failed to fetch http://deb.debian.org/debian/pool/main/x.deb  503  Backend is unhealthy",
        "W: Temporary failure resolving 'deb.debian.org'",
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool: Read timed out.",
    ],
)
def test_a_network_fault_gets_a_second_attempt(said: str) -> None:
    attempts: list[int] = []

    def step() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise LabError(said)

    once_more(step, "build x")
    assert len(attempts) == 2


@pytest.mark.parametrize(("said", "attempts"), [("dpkg: error processing package", 1), ("E: Failed to fetch x", 2)])
def test_other_faults_and_a_second_one_are_final(said: str, attempts: int) -> None:
    made: list[int] = []

    def step() -> None:
        made.append(1)
        raise LabError(said)

    with pytest.raises(LabError, match=said):
        once_more(step, "build x")
    assert len(made) == attempts


def test_build_refuses_a_circle(contexts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Catalogue, "build_one", lambda self, name: None)
    (contexts / "packages" / "Dockerfile").write_text("FROM tutorops-lab/host\n")
    with pytest.raises(LabError, match="circle: host, packages"):
        Catalogue.load(Settings(), contexts).build()


def test_a_failed_build_ends_the_build(contexts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Catalogue, name: str) -> None:
        if name == "base":
            raise LabError("base is broken")

    monkeypatch.setattr(Catalogue, "build_one", fail)
    with pytest.raises(LabError, match="base is broken"):
        Catalogue.load(Settings(), contexts).build()


def test_pin_touches_untagged_names_only() -> None:
    text = (
        b"FROM tutorops-lab/base AS x\nFROM tutorops-lab/base-more\nFROM tutorops-lab/base:1\n"
        b"COPY --from=tutorops-lab/base a b\n"
    )
    pinned = pin(text, {"base": "tutorops-lab/base:abc"})
    assert pinned == (
        b"FROM tutorops-lab/base:abc AS x\nFROM tutorops-lab/base-more\nFROM tutorops-lab/base:1\n"
        b"COPY --from=tutorops-lab/base:abc a b\n"
    )


def test_pack_normalises_modes_and_adds_extras(contexts: Path, tmp_path: Path) -> None:
    extra = tmp_path / "mongod"
    extra.write_bytes(b"binary")
    image = Image("redis", contexts / "redis")
    with tarfile.open(fileobj=io.BytesIO(pack(image, [("mongod", extra)], {"base": "tutorops-lab/base:1"}))) as archive:
        modes = {entry.name: (entry.mode, entry.uid, entry.mtime) for entry in archive}
        dockerfile = archive.extractfile("Dockerfile")
        assert dockerfile is not None and dockerfile.read().startswith(b"FROM tutorops-lab/base:1\n")
    assert modes == {"Dockerfile": (0o644, 0, 0), "entrypoint": (0o755, 0, 0), "mongod": (0o755, 0, 0)}
