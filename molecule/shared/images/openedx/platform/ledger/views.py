"""The ledger over HTTP, and the heartbeat.

POST /ledger/STORE?key=K     writes one entry; 201 once the store has acknowledged it
GET  /ledger/STORE/K         200 or 404
GET  /ledger/STORE?prefix=P  how often each key with that prefix is there
GET  /heartbeat[?extended]   200 or 503, with what each check found
"""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from . import sessions
from .stores import STORES

BASIC = ("mysql", "mongodb")
"""What edx-platform's heartbeat checks unless it is asked for more."""
CHECKS = {**{name: store.check for name, store in STORES.items()}, "sessions": sessions.check}


@csrf_exempt
@require_http_methods(["GET", "POST"])
def entries(request: HttpRequest, store: str) -> JsonResponse:
    """Write one entry of a store, or count those with a prefix."""
    if store not in STORES:
        return JsonResponse({"error": f"no store {store!r}"}, status=404)
    if request.method == "GET":
        return JsonResponse({"store": store, "counts": STORES[store].counts(request.GET.get("prefix", ""))})
    key = request.GET.get("key", "")
    if not key:
        return JsonResponse({"error": "no key"}, status=400)
    # Rows are committed when this view has returned and before the answer leaves: Tutor sets ATOMIC_REQUESTS.
    STORES[store].write(key)
    return JsonResponse({"store": store, "key": key}, status=201)


@require_GET
def entry(request: HttpRequest, store: str, key: str) -> JsonResponse:
    """Look for one entry."""
    count = STORES[store].count(key) if store in STORES else 0
    return JsonResponse({"store": store, "key": key, "count": count}, status=200 if count else 404)


@transaction.non_atomic_requests
@require_GET
def heartbeat(request: HttpRequest) -> JsonResponse:
    """Check the stores, all of them when `extended` is asked for."""
    found = {}
    for store in CHECKS if "extended" in request.GET else BASIC:
        try:
            CHECKS[store]()
            found[store] = {"status": True, "message": "OK"}
        except Exception as error:
            found[store] = {"status": False, "message": f"{type(error).__name__}: {error}"[:300]}
    return JsonResponse(found, status=200 if all(check["status"] for check in found.values()) else 503)
