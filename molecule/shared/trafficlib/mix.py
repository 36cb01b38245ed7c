"""What the traffic is made of: which requests, how often each, and which answer is the right one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import TrafficError

LMS = "lms.test"
STUDIO = "studio.lms.test"
NOTES = "notes.lms.test"

PAGE = "page"
WRITE = "write"
READ = "read"


@dataclass(frozen=True)
class Kind:
    """One kind of request; most pages belong to no store."""

    action: str
    store: str
    share: int
    host: str = LMS
    page: str = "/"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return "POST" if self.action == WRITE else "GET"

    def path(self, key: str) -> str:
        """Where the request goes."""
        if self.action == WRITE:
            return f"/ledger/{self.store}?key={key}"
        return f"/ledger/{self.store}/{key}" if self.action == READ else self.page


#: A task that was accepted is worked off later, so reading it at once proves nothing, and an audit has to wait.
EVENTUAL = frozenset({"celery"})
#: Writes are logins. Only the cookie that each was given can tell whether the learner is still logged in.
BY_COOKIE = frozenset({"sessions"})
#: Where the platform tells which of all rows point at something that another store does not have.
DANGLING = {"course": "/courses/published?all"}

#: Of so many requests, how many are of each kind. Shares of stores that are left out fall to the others.
MIX = (
    Kind(PAGE, "", 10),
    Kind(PAGE, "", 5, host=STUDIO, page="/heartbeat"),
    Kind(WRITE, "mysql", 18),
    Kind(READ, "mysql", 14),
    Kind(WRITE, "notes", 8, host=NOTES),
    Kind(READ, "notes", 6, host=NOTES),
    Kind(WRITE, "celery", 8),
    Kind(WRITE, "redis", 6),
    Kind(READ, "redis", 5),
    Kind(WRITE, "sessions", 1),
    Kind(READ, "sessions", 4),
    Kind(WRITE, "events", 1),
    Kind(READ, "events", 1),
    Kind(WRITE, "mongodb", 5),
    Kind(READ, "mongodb", 4),
    Kind(WRITE, "course", 2),
    Kind(READ, "course", 2),
    Kind(PAGE, "course", 1, page="/courses/published"),
    Kind(WRITE, "files", 4),
    Kind(READ, "files", 3),
    Kind(WRITE, "gridfs", 2),
    Kind(READ, "gridfs", 2),
    Kind(WRITE, "search", 2),
    Kind(READ, "search", 2),
)

DEFAULT_STORES = ("mysql", "notes", "celery", "redis", "sessions", "events", "mongodb", "gridfs", "course", "files")
HOSTS = {kind.store: kind.host for kind in MIX if kind.store}


def choose(stores: Iterable[str]) -> tuple[Kind, ...]:
    """The mix for some stores: all pages, and what concerns those stores."""
    wanted = set(stores)
    unknown = sorted(wanted - set(HOSTS))
    if unknown or not wanted:
        raise TrafficError(f"--stores names {', '.join(unknown) or 'none'}: choose from {', '.join(HOSTS)}")
    return tuple(kind for kind in MIX if not kind.store or kind.store in wanted)
