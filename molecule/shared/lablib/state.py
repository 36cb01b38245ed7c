"""The cache of a prepared platform: the app server's volumes as one archive, found again by what went into them."""

from __future__ import annotations

from pathlib import Path

from . import hosts, platform
from .images import INNER, Catalogue, hash_of
from .settings import Settings
from .shell import Stopwatch, docker, inside, succeeds

TAR = "tar --xattrs --xattrs-include=* --acls --numeric-owner"
MARK = ".tutorops-lab-prepared"
"""A file in Tutor's home that is written last: without it the app server is half made."""
KEPT = 3
"""How many prepared platforms stay in the cache, the latest used ones."""


def key(settings: Settings, catalogue: Catalogue) -> str:
    """Hash of all that decides what a prepared platform looks like."""
    images = [catalogue.tag(name) for name in ("appserver", *INNER)]
    parts = [*images, platform.RECIPE, str(settings.rows), str(settings.megabytes)]
    return hash_of([part.encode() for part in parts])[:12]


def archive(settings: Settings, catalogue: Catalogue) -> Path:
    """Where the prepared platform of this tree and these sizes is kept."""
    return settings.cache / "platforms" / f"{key(settings, catalogue)}.tar.zst"


def prepared(settings: Settings, catalogue: Catalogue) -> bool:
    """Whether the app server's volumes hold a platform whose preparation came to its end."""
    if not all(succeeds(["docker", "volume", "inspect", volume]) for volume in hosts.volumes(settings, settings.app)):
        return False
    answer = helper(settings, catalogue, f"test -e /volumes/app-tutor/{MARK} && echo yes || true")
    return answer.strip() == "yes"


def save(settings: Settings, catalogue: Catalogue) -> None:
    """Stop the inner engine, which keeps the platform still, archive, and start it again."""
    target = archive(settings, catalogue)
    app = settings.app
    with Stopwatch(f"keep the prepared platform as {target.name}"):
        inside(app, "systemctl", "stop", "docker.socket", "docker.service", "containerd.service")
        try:
            draft = f"{target.name}.{settings.prefix}"
            helper(
                settings,
                catalogue,
                f"{TAR} -C /volumes -c . | zstd -q -3 -T0 -f -o /cache/{draft}"
                f" && mv /cache/{draft} /cache/{target.name}"
                f" && touch /volumes/app-tutor/{MARK}"
                f" && cd /cache && ls -t -- *.tar.zst | tail -n +{KEPT + 1} | xargs -r rm --",
            )
        finally:
            inside(app, "systemctl", "start", "containerd.service", "docker.socket", "docker.service")


def restore(settings: Settings, catalogue: Catalogue) -> bool:
    """Fill the empty volumes of an app server that does not exist yet; False where nothing is kept for this tree."""
    source = archive(settings, catalogue)
    if not source.exists():
        return False
    with Stopwatch(f"restore the prepared platform {source.name}"):
        hosts.create_volumes(settings, settings.app)
        helper(
            settings,
            catalogue,
            f"zstd -q -dc /cache/{source.name} | {TAR} -C /volumes -x"
            f" && touch /cache/{source.name} /volumes/app-tutor/{MARK}",
        )
    return True


def helper(settings: Settings, catalogue: Catalogue, script: str) -> str:
    """Run a script in a container that sees the app server's volumes and the cache; return what it prints."""
    kept = settings.cache / "platforms"
    kept.mkdir(parents=True, exist_ok=True)
    mounts = [
        f"--volume={volume}:/volumes/{volume.removeprefix(settings.prefix + '-')}"
        for volume in hosts.volumes(settings, settings.app)
    ]
    # trusted.* attributes and device nodes of overlayfs want more than a container usually has.
    return docker(
        "run",
        "--rm",
        "--network=none",
        "--cap-add=SYS_ADMIN",
        *hosts.UNCONFINED,
        *mounts,
        f"--volume={kept}:/cache",
        catalogue.tag("base"),
        "bash",
        "-o",
        "pipefail",
        "-ec",
        script,
    )
