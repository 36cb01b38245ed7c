"""The page that learners see first."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join

from .models import Course, Enrollment


def index(request: HttpRequest) -> HttpResponse:
    """The first courses, each with its number of learners."""
    rows = [
        (course.display_name, Enrollment.objects.filter(course=course, is_active=True).count())
        for course in Course.objects.order_by("id")[:10]
    ]
    items = format_html_join("\n", "<li>{}: {} learners</li>", rows)
    page = "<!doctype html>\n<title>{0}</title>\n<h1>{0}</h1>\n<ul>\n{1}\n</ul>\n"
    return HttpResponse(format_html(page, settings.PLATFORM_NAME, items))
