"""Commands of edx-platform that Tutor's init jobs call and that have nothing to do here."""

from __future__ import annotations

from django.core.management.base import BaseCommand


class NoEffect(BaseCommand):
    """Takes any arguments, says its name and does nothing."""

    def run_from_argv(self, argv: list[str]) -> None:
        self.stdout.write(f"{argv[1]}: nothing to do on this platform")
