"""Imported by a fork server: boto3 and what functions often use, and with one throw-away client the modules that it imports on first use.

SECURITY: the keys are no keys, and nothing is sent: a fork server holds nothing that its sandboxes may not have.
"""

from __future__ import annotations

import importlib

import boto3

for _name in (
    "csv", "decimal", "email.utils", "hashlib", "hmac", "http.client", "random", "shutil", "ssl", "subprocess", "tempfile",
    "urllib.request", "uuid", "zipfile",
):  # fmt: skip
    importlib.import_module(_name)

boto3.session.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1").client("sts")
