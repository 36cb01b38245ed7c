"""Learners who log in, and stay logged in as long as their session is in the cache.

POST /ledger/sessions?key=K  logs K in: 201 and the cookie of a session that was found again in the cache
GET  /ledger/sessions/K      200 to a cookie of K's session, 401 to any other
"""

from __future__ import annotations

from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST


@csrf_exempt
@require_POST
def login(request: HttpRequest) -> JsonResponse:
    """Begin a session, as Django does at a login: under a new key."""
    key = request.GET.get("key", "")
    if not key:
        return JsonResponse({"error": "no key"}, status=400)
    request.session.cycle_key()
    request.session["learner"] = key
    request.session.save()
    # DJANGO_REDIS_IGNORE_EXCEPTIONS makes the cache say nothing when it could not keep something.
    if SessionStore(request.session.session_key).get("learner") != key:
        return JsonResponse({"error": "the cache did not keep the session"}, status=503)
    return JsonResponse({"store": "sessions", "key": key}, status=201)


@require_GET
def whoami(request: HttpRequest, key: str) -> JsonResponse:
    """Whether this is the learner who logged in as K."""
    learner = request.session.get("learner")
    return JsonResponse({"store": "sessions", "learner": learner}, status=200 if learner == key else 401)


def check() -> None:
    """Raise unless the cache keeps what it is given."""
    cache.set("heartbeat", "💓", 5)
    if cache.get("heartbeat") != "💓":
        raise ConnectionError("the cache does not keep what it is given")
