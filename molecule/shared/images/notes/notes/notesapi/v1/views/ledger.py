"""The ledger of the notes service over HTTP, with the same answers as the platform's (see its ledger/views.py)."""

from __future__ import annotations

from django.db import Error, connection
from django.db.models import Count
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from notesapi.models import Note


@csrf_exempt
@require_http_methods(["GET", "POST"])
def entries(request: HttpRequest) -> JsonResponse:
    """Write one note, or count those with a prefix."""
    if request.method == "GET":
        found = Note.objects.filter(key__startswith=request.GET.get("prefix", ""))
        return JsonResponse({"store": "notes", "counts": dict(found.values_list("key").annotate(Count("id")))})
    key = request.GET.get("key", "")
    if not key:
        return JsonResponse({"error": "no key"}, status=400)
    # No character of four bytes: Tutor's settings of this service leave Django's connection at MySQL's old utf8.
    Note.objects.create(key=key, text=f"a note about {key}, à propos")
    return JsonResponse({"store": "notes", "key": key}, status=201)


@require_GET
def entry(request: HttpRequest, key: str) -> JsonResponse:
    """Look for one note."""
    count = Note.objects.filter(key=key).count()
    return JsonResponse({"store": "notes", "key": key, "count": count}, status=200 if count else 404)


@require_GET
def heartbeat(request: HttpRequest) -> JsonResponse:
    """Whether the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return JsonResponse({"OK": False, "check": f"{type(error).__name__}: {error}"[:300]}, status=503)
    return JsonResponse({"OK": True})
