"""What the settings that Tutor mounts beside this file start from."""

from __future__ import annotations

DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "notesapi"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "notesserver.urls"
