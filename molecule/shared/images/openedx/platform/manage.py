#!/usr/bin/env python3
"""manage.py lms|cms COMMAND, as in edx-platform."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main(arguments: list[str]) -> None:
    """Choose the settings by the first argument, and leave the rest to Django."""
    variant = os.environ.get("SERVICE_VARIANT", "lms")
    if len(arguments) > 1 and arguments[1] in ("lms", "cms"):
        variant = arguments.pop(1)
    os.environ["SERVICE_VARIANT"] = variant
    os.environ["DJANGO_SETTINGS_MODULE"] = f"{variant}.envs.tutor.production"
    execute_from_command_line(arguments)


if __name__ == "__main__":
    main(sys.argv)
