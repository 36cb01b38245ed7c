"""Makes sure that a Docker engine answers, and installs Debian's where it may."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .errors import LabError
from .shell import Stopwatch, run, say, succeeds, wait_until

LOG = Path("/var/log/tutorops-lab-dockerd.log")


def answers() -> bool:
    """Whether `docker` works for this user, right now."""
    return succeeds(["docker", "version"], timeout=20)


def install_packages(*names: str) -> None:
    """Install Debian or Ubuntu packages; refuse in one sentence where that is not allowed."""
    if os.geteuid() != 0:
        raise LabError(
            f"The lab needs {', '.join(names)}, which only root may install: "
            f"run `sudo apt-get install {' '.join(names)}`, or the lab itself as root."
        )
    if not shutil.which("apt-get"):
        raise LabError(f"The lab needs {', '.join(names)}, and this machine has no apt-get: install them by hand.")
    with Stopwatch(f"install {' '.join(names)}"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "--quiet"], environment=quiet)
        run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *names], environment=quiet)


def client_packages() -> list[str]:
    """Debian 13 has the client in a package of its own; before that it is part of docker.io."""
    separate = ["docker-cli"] if succeeds(["apt-cache", "show", "docker-cli"]) else []
    return ["docker.io", *separate, "iptables"]


def start() -> None:
    """Start dockerd: by systemd where that runs, else as a process that outlives this one."""
    if Path("/run/systemd/system").exists():
        run(["systemctl", "start", "docker"])
        return
    with LOG.open("ab") as log:
        subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    say(f"dockerd started; it logs to {LOG}")


def ensure() -> None:
    """Return once a Docker engine answers."""
    if answers():
        return
    if os.geteuid() != 0:
        raise LabError(
            "No Docker engine answers to this user, and only root may start one: "
            "run the lab as root, or install Docker and join the group `docker`."
        )
    if not shutil.which("docker") or not shutil.which("dockerd"):
        run(["apt-get", "update", "--quiet"])
        install_packages(*client_packages())
    if not answers():
        start()
    wait_until(answers, f"the Docker engine does not answer; its log is {LOG} or `journalctl -u docker`", 60)


def cgroup_version() -> str:
    """The engine's cgroup version, which decides how a host may boot systemd."""
    return run(["docker", "info", "--format", "{{.CgroupVersion}}"]).strip() or "1"
