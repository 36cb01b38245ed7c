from __future__ import annotations

from ansible_collections.tutorops.scale.plugins.filter.plan import plan_document, plan_lines, store_members

PLANS = [
    {
        "offload_store": "mysql",
        "invocation": {"module_args": {}},
        "blocked": True,
        "estimate": {"way": "physical"},
        "findings": [
            {"id": "mysql.series", "severity": "info", "subject": "", "message": "both ends are 8.4", "cure": ""},
            {
                "id": "mysql.engine",
                "severity": "blocker",
                "subject": "t",
                "message": "it is MyISAM",
                "cure": "convert it",
            },
        ],
    }
]


def test_members_have_the_names_of_their_hosts() -> None:
    found = [{"host": "db1", "address": "10.0.0.1", "version_installed": None}]
    assert store_members(found, 3306) == [{"name": "db1", "address": "10.0.0.1", "port": 3306}]


def test_what_blocks_comes_first_with_its_cure() -> None:
    assert plan_lines(PLANS) == [
        "BLOCKER mysql.engine (t): it is MyISAM: convert it.",
        "INFO mysql.series: both ends are 8.4.",
    ]


def test_only_what_blocks() -> None:
    assert plan_lines(PLANS, blockers=True) == ["BLOCKER mysql.engine (t): it is MyISAM: convert it."]


def test_the_document_holds_nothing_of_ansible() -> None:
    assert plan_document(PLANS) == {
        "stores": {"mysql": {"blocked": True, "estimate": {"way": "physical"}, "findings": PLANS[0]["findings"]}}
    }
