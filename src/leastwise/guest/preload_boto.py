"""Imported by a fork server: boto3, and with one throw-away client the modules that it imports on first use.

SECURITY: the keys are no keys, and nothing is sent: a fork server holds nothing that its sandboxes may not have.
"""

from __future__ import annotations

import boto3

boto3.session.Session(
    aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1"
).client("sts")
