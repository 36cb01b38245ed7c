"""The image at the bottom: a minimal Debian, made by debootstrap or out of Docker's own Debian image."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import engine
from .errors import LabError
from .shell import docker, run, succeeds

SUITE = "trixie"
PULLED = f"debian:{SUITE}"


def recipe(mirror: str) -> str:
    """What decides the content of this image."""
    return f"minimal {SUITE} main from {mirror}, version 1"


def build(tag: str, mirror: str) -> None:
    """Make the image by debootstrap where root may, else from the image of Debian."""
    if os.geteuid() == 0:
        if not shutil.which("debootstrap"):
            engine.install_packages("debootstrap")
        bootstrap(tag, mirror)
    elif succeeds(["docker", "pull", PULLED], timeout=300):
        derive(tag, mirror)
    else:
        raise LabError(
            f"The lab's base system is made by debootstrap, which needs root, or from the image {PULLED}, "
            "which could not be pulled: run the lab as root."
        )


def bootstrap(tag: str, mirror: str) -> None:
    """Bootstrap into a temporary directory and import that."""
    script = Path("/usr/share/debootstrap/scripts") / SUITE
    with tempfile.TemporaryDirectory(prefix="tutorops-lab-") as directory:
        root = Path(directory) / "root"
        # Older debootstraps do not know the suite's name, but all know sid's script.
        arguments = [SUITE, str(root), mirror] + ([] if script.exists() else [str(script.with_name("sid"))])
        run(["debootstrap", "--variant=minbase", "--include=ca-certificates", *arguments])
        (root / "etc/apt/sources.list").write_text(f"deb {mirror} {SUITE} main\n", encoding="utf-8")
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packer:
            docker("import", "-", tag, stdin=packer.stdout)
        if packer.returncode != 0:
            raise LabError(f"Packing {root} failed with {packer.returncode}.")


def derive(tag: str, mirror: str) -> None:
    """Docker's Debian image with the same apt sources as the other way leaves."""
    docker(
        "build",
        "--tag",
        tag,
        "-",
        stdin=(
            f"FROM {PULLED}\n"
            f"RUN rm -f /etc/apt/sources.list.d/* && echo 'deb {mirror} {SUITE} main' > /etc/apt/sources.list\n"
        ).encode(),
    )
