"""The command that Tutor's init job calls up to 18."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Notes are not indexed here."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rebuild", action="store_true")
        parser.add_argument("-f", action="store_true")

    def handle(self, *_: object, **__: object) -> None:
        self.stdout.write("search_index: nothing to do")
