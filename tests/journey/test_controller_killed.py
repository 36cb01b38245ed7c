"""The controller dies at a random moment, as often as TUTOROPS_KILLS says; the same command again is the way on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

from lab_site import Site


def test_the_same_command_again(site: Site) -> None:
    seed = int(os.environ.get("TUTOROPS_SEED") or time.time())
    print(f"TUTOROPS_SEED={seed}")
    dice = random.Random(seed)
    with site.traffic("kills") as traffic:
        for _kill in range(int(os.environ.get("TUTOROPS_KILLS") or 6)):
            running = site.start_playbook("offload.yml")
            try:
                running.wait(dice.uniform(3.0, 60.0))
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
        site.playbook("offload.yml")
        for store in site.stores:
            assert site.pointer(store.name) == "cluster"
            assert site.writable_ends(store) == ["cluster"]
    traffic.nothing_noticed()
