# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# All of it is in plugins/action/tls_certificate.py, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Make a host's certificate on the controller, and install it on the host
version_added: 0.1.0
description:
  - Keeps a certificate authority and one certificate for each name in a folder of the controller, and installs the
    authority's certificate, the host's certificate and its key on the host.
  - A certificate is made anew when O(renew_days) or less of it are left, or when its key, its names or its authority
    are others than wanted. It keeps its key then. Everything else stays as it is.
  - Without an authority one is made. The authority's key never leaves the controller.
  - Hosts of a play, and plays that run at the same time, take turns.
author:
  - Tutor Ops contributors (@tutorops)
options:
  directory:
    description:
      - Folder on the controller, kept so that its owner alone can read it.
    type: path
    required: true
  ca_certificate:
    description: The authority's certificate on the controller, C(ca.pem) in O(directory) if not given.
    type: path
  ca_key:
    description:
      - Its key on the controller, C(ca.key) in O(directory) if not given; without a passphrase. It is needed only when
        a certificate is made.
    type: path
  name:
    description: File name of certificate and key in O(directory), without their endings C(.crt) and C(.key).
    type: str
    required: true
  common_name:
    description: Common name of the certificate, O(name) if not given; only the first 64 characters fit.
    type: str
  alt_names:
    description:
      - What the certificate stands for, each with its kind, C(DNS:), C(IP:), C(URI:) or C(email:).
    type: list
    elements: str
    default: []
  certificate:
    description:
      - A certificate of your own on the controller, perhaps with those between it and its authority, to install instead
        of making one. O(ca_certificate) has to be there then.
    type: path
  key:
    description: Its key on the controller, without a passphrase.
    type: path
  valid_days:
    description: For how many days a certificate is made. One that is there is not made anew when this changes.
    type: int
    default: 825
  renew_days:
    description: How many days before its end a certificate is made anew, and an authority is refused.
    type: int
    default: 30
  dest:
    description: Directory on the host, made with mode C(0750).
    type: path
    required: true
  dest_ca:
    description: File name of the authority's certificate on the host.
    type: str
    default: ca.pem
  dest_certificate:
    description: File name of the certificate on the host, O(name) with C(.crt) if not given.
    type: str
  dest_key:
    description: File name of the key on the host, O(name) with C(.key) if not given; its mode is C(0600).
    type: str
  owner:
    description: Owner of the directory and the files on the host.
    type: str
    default: root
  group:
    description: Their group.
    type: str
    default: root
extends_documentation_fragment:
  - tutorops.scale.attributes
  - tutorops.scale.attributes.action
attributes:
  check_mode:
    description: Says what would be made and installed, and makes nothing.
  diff_mode:
    description: Shows names and ends of certificates, and which files of the host differ, but never what is in them.
requirements:
  - cryptography 40 or newer for the Python that runs Ansible; ansible-core itself depends on it
"""

EXAMPLES = r"""
- name: Give the member its certificate
  tutorops.scale.tls_certificate:
    directory: "{{ inventory_dir }}/tls"
    name: "mysql-{{ inventory_hostname }}"
    alt_names: ["IP:10.0.0.11", "DNS:db1"]
    dest: /etc/mysql/tls
    owner: mysql
    group: mysql

- name: Install a certificate of another authority
  tutorops.scale.tls_certificate:
    directory: "{{ inventory_dir }}/tls"
    ca_certificate: /etc/pki/company.pem
    name: "mysql-{{ inventory_hostname }}"
    certificate: "/etc/pki/{{ inventory_hostname }}.crt"
    key: "/etc/pki/{{ inventory_hostname }}.key"
    dest: /etc/mysql/tls
"""

RETURN = r"""
reasons:
  description: What changed on the controller, and why.
  type: list
  elements: str
  returned: success
  sample: ["the certificate /srv/tls/mysql-db1.crt is made, because its names change"]
paths:
  description: The paths on the host at which something changed.
  type: list
  elements: str
  returned: success
  sample: [/etc/mysql/tls/member.crt]
"""
