"""The images of the lab: which there are, what each is made of, and building those that are not there yet."""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from . import materials, system
from .errors import LabError
from .settings import REPOSITORY, SHARED, Settings
from .shell import Stopwatch, docker, locked, say, succeeds

PARENT = re.compile(rf"(?:^\s*FROM\s+|--from=){REPOSITORY}/([a-z0-9-]+)", re.MULTILINE | re.IGNORECASE)
SYSTEM = "os"
"""The image below all others; it has no context of its own."""
INNER = ("caddy", "meilisearch", "mongodb", "mysql", "notes", "openedx", "permissions", "redis", "smtp")
"""Images that Tutor runs: they are loaded into the app server's own engine."""
NETWORK_FAULT = re.compile(
    r"Temporary failure (resolving|in name resolution)|Failed to fetch|Could not (connect|resolve|fetch URL)"
    r"|Connection (reset|refused|timed out)|Hash Sum mismatch|File has unexpected size|timed out"
    r"|NewConnectionError|ProtocolError|\b50[234] ",
    re.IGNORECASE,
)
"""What apt, pip and debootstrap say when a mirror or the way to it fails."""


@dataclass(frozen=True)
class Image:
    """One image: a build context, what is put into it, and the images that its Dockerfile names."""

    name: str
    context: Path
    material: materials.Material | None = None

    @cached_property
    def parents(self) -> list[str]:
        """Images of the lab that this one builds on."""
        text = (self.context / "Dockerfile").read_text(encoding="utf-8")
        return sorted(set(PARENT.findall(text)))

    def files(self) -> list[tuple[str, bool, bytes]]:
        """Path, executable bit and content of each file of the context, in order."""
        return [
            (path.relative_to(self.context).as_posix(), bool(path.stat().st_mode & 0o100), path.read_bytes())
            for path in sorted(self.context.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        ]


@dataclass
class Catalogue:
    """All images, and their tags."""

    settings: Settings
    images: Mapping[str, Image]
    _digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, settings: Settings, directory: Path = SHARED / "images") -> Catalogue:
        """Every directory with a Dockerfile is an image."""
        needs = materials.for_images(settings.tutor)
        contexts = sorted(path.parent for path in directory.glob("*/Dockerfile"))
        return cls(settings, {path.name: Image(path.name, path, needs.get(path.name)) for path in contexts})

    def digest(self, name: str) -> str:
        """Hash of everything that an image is made of, its parents included."""
        if name not in self._digests:
            if name == SYSTEM:
                self._digests[name] = hash_of([system.recipe(self.settings.mirror).encode()])
            elif name in self.images:
                image = self.images[name]
                parts = [f"parent {parent} {self.digest(parent)}".encode() for parent in image.parents]
                parts += [f"material {image.material.recipe}".encode()] if image.material else []
                for path, executable, content in image.files():
                    parts += [f"{path} {executable}".encode(), content]
                self._digests[name] = hash_of(parts)
            else:
                raise LabError(f"There is no image {name!r} in molecule/shared/images.")
        return self._digests[name]

    def tag(self, name: str) -> str:
        """The full name under which an image is kept."""
        return f"{REPOSITORY}/{name}:{self.digest(name)[:12]}"

    def order(self, names: Iterable[str]) -> dict[str, set[str]]:
        """The given images and all that they need, each with what has to be there before it."""
        wanted: dict[str, set[str]] = {}
        queue = list(names)
        while queue:
            name = queue.pop()
            if name in wanted:
                continue
            if name == SYSTEM:
                before: set[str] = set()
            elif name in self.images:
                image = self.images[name]
                before = set(image.parents) | ({materials.BUILDER} if image.material else set())
            else:
                raise LabError(f"There is no image {name!r} in molecule/shared/images.")
            wanted[name] = before
            queue.extend(before)
        return wanted

    def build(self, names: Iterable[str] | None = None) -> None:
        """Build what is missing, some at a time; what most others need goes first."""
        waiting = self.order(names if names is not None else self.images)
        needed = {name: sum(name in self.order([other]) for other in waiting) for name in waiting}
        running: dict[concurrent.futures.Future[None], str] = {}
        done: set[str] = set()
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.settings.parallel) as pool:
            while waiting or running:
                ready = [name for name, before in waiting.items() if before <= done]
                ready.sort(key=lambda name: (-needed[name], name))
                for name in ready[: self.settings.parallel - len(running)]:
                    del waiting[name]
                    running[pool.submit(self.build_one, name)] = name
                if not running:
                    raise LabError(f"These images need each other in a circle: {', '.join(sorted(waiting))}.")
                finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    done.add(running.pop(future))
                    future.result()

    def build_one(self, name: str) -> None:
        """Build one image unless its tag exists or another lab builds it now; `latest` points at it afterwards."""
        tag = self.tag(name)
        with locked(self.settings.cache / f"{name}.lock"):
            if not exists(tag):
                with Stopwatch(f"build {tag}"):
                    once_more(lambda: self._make(name, tag), tag)
            docker("tag", tag, f"{REPOSITORY}/{name}:latest")

    def _make(self, name: str, tag: str) -> None:
        if name == SYSTEM:
            system.build(tag, self.settings.mirror)
        else:
            self._build_from_context(self.images[name], tag)

    def _build_from_context(self, image: Image, tag: str) -> None:
        extra = image.material.files(self.settings.cache, self.tag(materials.BUILDER)) if image.material else []
        docker(
            "build",
            "--force-rm",
            "--tag",
            tag,
            "-",
            stdin=pack(image, extra, {parent: self.tag(parent) for parent in image.parents}),
        )


def once_more(step: Callable[[], None], what: str) -> None:
    """Run a step, and a second time where the network made it fail."""
    try:
        step()
    except LabError as error:
        if not NETWORK_FAULT.search(str(error)):
            raise
        say(f"{what}: the network failed; once more")
        step()


def pack(image: Image, extra: Iterable[tuple[str, Path]], parents: Mapping[str, str]) -> bytes:
    """A build context as a tar archive; its Dockerfile names the parents by their full tags."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:

        def add(path: str, executable: bool, content: bytes) -> None:
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o755 if executable else 0o644
            archive.addfile(entry, io.BytesIO(content))

        for path, executable, content in image.files():
            add(path, executable, pin(content, parents) if path == "Dockerfile" else content)
        for path, source in extra:
            add(path, True, source.read_bytes())
    return buffer.getvalue()


def pin(dockerfile: bytes, parents: Mapping[str, str]) -> bytes:
    """Replace each untagged parent by the tag that belongs to this tree, so that two checkouts cannot mix."""
    text = dockerfile.decode()
    for name, tag in parents.items():
        text = re.sub(rf"(?<![\w/]){re.escape(f'{REPOSITORY}/{name}')}(?![\w:-])", tag, text)
    return text.encode()


def hash_of(parts: Iterable[bytes]) -> str:
    """Hash of a list of byte strings; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def exists(tag: str) -> bool:
    """Whether the engine has an image of this name."""
    return succeeds(["docker", "image", "inspect", tag])
