#!/usr/bin/env python3
"""manage.py COMMAND, as in edx-notes-api."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notesserver.settings.tutor")
    execute_from_command_line(sys.argv)
