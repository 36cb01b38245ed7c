"""The page that learners see first, and the one that looks whether every published course can be shown."""

from __future__ import annotations

import random

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_GET

from .models import Course, CourseIndex, Enrollment
from .publishing import missing

SAMPLE = 100
"""How many of the latest rows, and how many others, are looked at unless all are asked for."""


def index(request: HttpRequest) -> HttpResponse:
    """The first courses, each with its number of learners."""
    rows = [
        (course.display_name, Enrollment.objects.filter(course=course, is_active=True).count())
        for course in Course.objects.order_by("id")[:10]
    ]
    items = format_html_join("\n", "<li>{}: {} learners</li>", rows)
    page = "<!doctype html>\n<title>{0}</title>\n<h1>{0}</h1>\n<ul>\n{1}\n</ul>\n"
    return HttpResponse(format_html(page, settings.PLATFORM_NAME, items))


@require_GET
def published(request: HttpRequest) -> JsonResponse:
    """200 when every row of the index points at a structure, else 409; `?all` looks at all rows, not at some."""
    rows = CourseIndex.objects.order_by("-id").values_list("course_id", "published_version")
    if "all" in request.GET:
        looked_at = list(rows)
    else:
        others = random.randrange(max(1, rows.count() - SAMPLE))
        looked_at = [*rows[:SAMPLE], *rows[others : others + SAMPLE]]
    gone = missing(looked_at)
    return JsonResponse({"rows": len(looked_at), "missing": gone}, status=409 if gone else 200)
