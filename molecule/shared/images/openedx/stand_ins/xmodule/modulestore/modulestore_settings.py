"""The function that Tutor's settings call."""

from __future__ import annotations

from typing import Any


def update_module_store_settings(module_store_setting: dict[str, Any], doc_store_settings: dict[str, Any]) -> None:
    """Give every module store a copy of what Tutor wrote; what is changed afterwards does not get there."""
    for store in module_store_setting["default"]["OPTIONS"]["stores"]:
        store["DOC_STORE_CONFIG"].update(doc_store_settings)
