# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_load
short_description: Send a short load to a Tutor platform through Caddy, and measure
description:
  - Reads pages of the platform through its Caddy, from the app server itself, at a rate that does not wait for answers,
    and tells throughput and latencies, and how busy the host was.
  - Compares with an earlier result, if given, and says what became worse.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  rate:
    description: Requests a second.
    type: float
    default: 20.0
  seconds:
    description: For how long requests are sent.
    type: float
    default: 20.0
  timeout:
    description: Seconds after which a request counts as failed.
    type: float
    default: 30.0
  pages:
    description: Paths to ask for in turn, by the setting that names the site's host.
    type: dict
    default:
      LMS_HOST: ["/", "/heartbeat"]
      CMS_HOST: ["/heartbeat"]
  compare:
    description: The result of an earlier load to compare with.
    type: dict
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes.reads
attributes:
  check_mode:
    description: Sends nothing, and gives no result.
    details: What a load would measure cannot be known without sending it.
    support: partial
notes:
  - An answer with a status from 200 to 399 is a good one.
  - Latencies count from the moment at which a request was due, so that a stall is seen by all requests that it delayed.
  - As equal counts up to 5 % less throughput, and a 99th percentile that is longer by up to 25 % or 25 ms.
seealso:
  - module: tutorops.scale.tutor_workers
"""

EXAMPLES = r"""
- name: Measure
  tutorops.scale.tutor_load:
    owner: tutor
    rate: 50
  register: before
"""

RETURN = r"""
measured:
  description: What was met.
  type: dict
  returned: success, not in check mode
  contains:
    requests:
      description: Requests sent.
      type: int
    failed:
      description: Requests without a good answer.
      type: int
    throughput:
      description: Good answers a second.
      type: float
    p50_ms:
      description: Median of the latencies in milliseconds.
      type: float
    p99_ms:
      description: 99th percentile of the latencies in milliseconds.
      type: float
    cpu_percent:
      description: How busy the cores of the host were, 100 being all of them.
      type: float
    memory:
      description: Bytes in use on the host, the highest that was seen.
      type: int
worse:
  description: In which respects it went worse than O(compare); empty when it did not.
  type: list
  elements: str
  returned: success, not in check mode
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_load import Page, Target, measure, worse
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import TUTOR_OPTIONS, fail, open_tutor

PAGES = {"LMS_HOST": ["/", "/heartbeat"], "CMS_HOST": ["/heartbeat"]}


def target_of(values):
    """Say where Caddy answers on this host."""
    if values["ENABLE_HTTPS"] is True and values["ENABLE_WEB_PROXY"] is True:
        return Target(443, secure=True)
    return Target(int(values["CADDY_HTTP_PORT"]))


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            rate={"type": "float", "default": 20.0},
            seconds={"type": "float", "default": 20.0},
            timeout={"type": "float", "default": 30.0},
            pages={"type": "dict", "default": PAGES},
            compare={"type": "dict"},
        ),
        supports_check_mode=True,
    )
    params = module.params
    if not (params["rate"] > 0 and params["seconds"] > 0 and params["rate"] * params["seconds"] >= 1):
        module.fail_json(msg="A load needs at least one request; give a rate and seconds greater than 0.")
    tutor = open_tutor(module)
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        values = tutor.values([*params["pages"], "ENABLE_HTTPS", "ENABLE_WEB_PROXY", "CADDY_HTTP_PORT"])
        pages = [Page(str(values[setting]), path) for setting, paths in params["pages"].items() for path in paths]
        if not pages:
            raise TutorError("There are no pages to ask for; give at least one path in `pages`.")
        measured = measure(target_of(values), pages, params["rate"], params["seconds"], params["timeout"]).as_dict()
        found = worse(params["compare"], measured) if params["compare"] else []
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    module.exit_json(changed=False, measured=measured, worse=found)


if __name__ == "__main__":
    main()
