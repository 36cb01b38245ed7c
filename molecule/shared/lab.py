#!/usr/bin/env python3
"""The lab: a real Tutor under its own Docker engine, and hosts to move its stores to.

    lab.py images   build every image that is missing
    lab.py up       build, boot, prepare the platform (or restore it from the cache), wait until it answers
    lab.py data     only the hosts for databases, without the app server
    lab.py status   say what there is
    lab.py down     remove the hosts and their data; images and the cache stay
    lab.py clean    remove everything of every lab: hosts, images, cache

TUTOROPS_LAB_{PREFIX,NETWORK,SUBNET,DATA_HOSTS,TUTOR,ROWS,MEGABYTES,STORES,MIRROR,CACHE,PARALLEL} change the defaults.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from lablib import engine, hosts, platform, state
from lablib.errors import LabError
from lablib.images import Catalogue
from lablib.settings import REPOSITORY, Settings
from lablib.shell import Stopwatch, docker, say


def images(settings: Settings) -> None:
    """Build every image that is missing."""
    engine.ensure()
    with Stopwatch("all images"):
        Catalogue.load(settings).build()


def up(settings: Settings) -> None:
    """Bring the lab up, from whatever there is."""
    images(settings)
    catalogue = Catalogue.load(settings)
    hosts.create_network(settings)
    ready = state.prepared(settings, catalogue)
    if not ready:
        # Nothing there, or what an interrupted run left.
        hosts.remove_host(settings, settings.app)
        ready = state.restore(settings, catalogue)
    hosts.start_all(settings, catalogue)
    if not ready:
        platform.prepare(settings, catalogue)
        state.save(settings, catalogue)
    with Stopwatch("platform answers"):
        platform.wait_answers(settings.app)
    status(settings)


def data(settings: Settings) -> None:
    """Boot only the hosts for databases."""
    engine.ensure()
    catalogue = Catalogue.load(settings)
    catalogue.build(["datahost"])
    hosts.create_network(settings)
    with Stopwatch(f"boot {', '.join(settings.data)}"):
        for host in settings.data:
            hosts.start(settings, catalogue, host)
        for host in settings.data:
            hosts.wait_booted(host)


def status(settings: Settings) -> None:
    """Print the hosts with their states, and whether the platform answers."""
    if not engine.answers():
        say("No Docker engine answers, so no lab is up.")
        return
    for host in settings.hosts:
        say(f"{host:<16} {settings.address(host):<15} {hosts.state(host)}")
    answer = platform.answers(settings.app) if hosts.state(settings.app) == "running" else False
    say(f"http://{platform.LMS} on {settings.address(settings.app)}: {'answers' if answer else 'does not answer'}")


def down(settings: Settings) -> None:
    """Remove this lab's hosts, volumes and network."""
    if engine.answers():
        hosts.remove(f"{hosts.LABEL}={settings.prefix}")


def clean(settings: Settings) -> None:
    """Remove every lab, every image and the cache."""
    if engine.answers():
        hosts.remove(hosts.LABEL)
        found = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        ours = [tag for tag in found if tag.startswith(f"{REPOSITORY}/")]
        if ours:
            docker("image", "rm", "--force", *ours)
    shutil.rmtree(settings.cache, ignore_errors=True)


COMMANDS = {"images": images, "up": up, "data": data, "status": status, "down": down, "clean": clean}


def main() -> int:
    """Run one command; a failure that the lab understands is one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    arguments = parser.parse_args()
    try:
        COMMANDS[arguments.command](Settings.from_environment(os.environ))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
