"""Tutor's platform on the app server: images loaded, configured, launched, filled with data, answering."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .errors import LabError
from .images import INNER, Catalogue
from .settings import REPOSITORY, Settings
from .shell import Stopwatch, docker, inside, succeeds, wait_until

LMS = "lms.test"
CMS = f"studio.{LMS}"
TUTOR_ROOT = "/home/tutor/.local/share/tutor"
RECIPE = Path(__file__).read_text(encoding="utf-8")
"""The text of this module: a prepared platform is kept only as long as the way it was prepared stays."""


def prepare(settings: Settings, catalogue: Catalogue) -> None:
    """From a booted app server with nothing on it to a platform with data that answers."""
    app = settings.app
    wait_inner_engine(app)
    with Stopwatch(f"load images into {app}"):
        load_images(app, catalogue)
    with Stopwatch("tutor config"):
        inside(app, "tutor-setup", REPOSITORY, user="tutor")
    with Stopwatch("tutor local launch"):
        inside(app, "tutor", "local", "launch", "--non-interactive", "--skip-build", user="tutor", timeout=900)
    with Stopwatch(f"seed {settings.rows} rows, {settings.megabytes} MB"):
        wait_answers(app)
        seed(app, settings.rows, settings.megabytes)


def wait_inner_engine(app: str) -> None:
    """Return once the Docker engine inside the app server answers."""
    wait_until(
        lambda: succeeds(["docker", "exec", app, "docker", "version"]),
        f"the Docker engine inside {app} does not start; look with `docker exec {app} journalctl -u docker`",
        90,
    )


def load_images(app: str, catalogue: Catalogue) -> None:
    """Hand the images that Tutor runs to the inner engine; layers that they share travel once."""
    tags = {name: catalogue.tag(name) for name in INNER}
    with subprocess.Popen(["docker", "save", *tags.values()], stdout=subprocess.PIPE) as saver:
        loaded = subprocess.run(
            ["docker", "exec", "--interactive", app, "docker", "load", "--quiet"],
            stdin=saver.stdout,
            capture_output=True,
            check=False,
        )
    if saver.returncode != 0 or loaded.returncode != 0:
        raise LabError(f"Loading images into {app} failed: {loaded.stderr.decode(errors='replace').strip()[-500:]}")
    for name, tag in tags.items():
        docker("exec", app, "docker", "tag", tag, f"{REPOSITORY}/{name}")


def seed(app: str, rows: int, megabytes: int) -> None:
    """Give the platform data of the wanted size."""
    inside(
        app,
        "tutor",
        "local",
        "exec",
        "-T",
        "lms",
        "./manage.py",
        "lms",
        "seed",
        "--rows",
        str(rows),
        "--megabytes",
        str(megabytes),
        user="tutor",
        timeout=3600,
    )


def answers(app: str) -> bool:
    """Whether LMS and CMS say through Caddy that they reach their stores."""
    return all(
        succeeds(
            [
                "docker",
                "exec",
                app,
                "curl",
                "--silent",
                "--fail",
                "--max-time",
                "5",
                "--output",
                "/dev/null",
                "--header",
                f"Host: {name}",
                "http://127.0.0.1/heartbeat",
            ],
            timeout=20,
        )
        for name in (LMS, CMS)
    )


def wait_answers(app: str) -> None:
    """Return once the platform answers."""
    wait_until(
        lambda: answers(app),
        f"the platform on {app} does not answer on /heartbeat; look with `docker exec {app} docker ps --all`",
        240,
    )
