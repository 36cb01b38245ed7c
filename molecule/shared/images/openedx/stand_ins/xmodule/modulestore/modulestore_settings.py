"""The function that Tutor's settings call."""

from __future__ import annotations

from typing import Any


def update_module_store_settings(module_store_setting: dict[str, Any], doc_store_settings: dict[str, Any]) -> None:
    """Give every module store the connection that Tutor wrote."""
    for store in module_store_setting["default"]["OPTIONS"]["stores"]:
        store["DOC_STORE_CONFIG"] = doc_store_settings
