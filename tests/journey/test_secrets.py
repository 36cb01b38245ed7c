"""Secrets show in no process list, no output, and no file that others can read."""

from __future__ import annotations

import subprocess
import threading

from lab_site import Site
from site_stores import SECRETS


def test_none_is_seen(site: Site) -> None:
    root = site.tutor("config", "printvalue", "MYSQL_ROOT_PASSWORD").strip()
    secrets = [*SECRETS.values(), root]
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for host in site.settings.hosts:
                listed = site.inside(host, "sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null", check=False)
                seen.update(secret for secret in secrets if secret in listed)
            over.wait(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = site.playbook("offload.yml", {}, "-vvv", "--diff")
    finally:
        over.set()
        watcher.join()
    assert seen == set(), "a secret stood in the arguments of a process"
    assert not [secret for secret in secrets if secret in done.stdout + done.stderr], "a secret was printed"
    for path in site.folder.rglob("*"):
        assert not (path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)), path
    for host in site.settings.hosts:
        # As a stranger to all of it, so that closed folders count.
        find = "find /etc /run /usr/local /var/lib/tutorops -xdev -type f -readable 2>/dev/null"
        for path in site.inside(host, "sh", "-c", find, user="nobody", check=False).split():
            content = subprocess.run(["docker", "exec", host, "cat", path], capture_output=True, check=False).stdout
            assert not any(secret.encode() in content for secret in secrets), f"{host}:{path}"
        journal = site.inside(host, "journalctl", "--no-pager", check=False)
        assert not any(secret in journal for secret in secrets), f"the journal of {host}"
