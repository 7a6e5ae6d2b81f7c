"""The control plane of functions, through its rows, on a real database and a real code directory."""

from __future__ import annotations

import base64
import hashlib
import inspect
import io
import json
import zipfile
from types import SimpleNamespace

import botocore.session
import pytest

from leastwise.flows import deploy, function_concurrency, function_policy, function_reading, function_tags
from leastwise.flows.interface import Scene, Target
from leastwise.functions.catalog import FunctionCatalog
from leastwise.functions.configuration import Platform
from leastwise.functions.interface import (
    CodeStorageExceeded,
    FunctionAlreadyExists,
    FunctionNotFound,
    InvalidPackage,
    InvalidParameter,
    RevisionMismatch,
    StatementExists,
)
from leastwise.functions.limits import Limits
from leastwise.functions.links import CodeLinks, open_link
from leastwise.functions.service import Functions
from leastwise.iam.directory import Role
from leastwise.iam.interface import Principal, PrincipalKind
from leastwise.kernel import errors
from leastwise.kernel.call import Source
from leastwise.kernel.clock import SystemClock
from leastwise.kernel.events import Access
from leastwise.storage.code import CodeDirectory
from leastwise.storage.engine import Database
from leastwise.storage.functions import SqlFunctionStore
from leastwise.storage.schema import metadata

ACCOUNT = "111122223333"
REGION = "eu-west-1"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:resize"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/worker"
KEY = bytes(range(32))
NOW = 1_800_000_000_123
ROWS = {
    row.name: row
    for module in (deploy, function_concurrency, function_policy, function_reading, function_tags)
    for row in module.OPERATIONS
}


def zip_with(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", text)
    return buffer.getvalue()


ZIP = zip_with("def handler(event, context): return event\n")


class Roles:
    """The part of `identities.roles` that deployment asks."""

    async def find(self, account_id: str, name: str) -> Role | None:
        if name != "worker":
            return None
        return Role(
            account_id=account_id,
            name=name,
            path="/service/",
            role_id="AROA",
            arn=ROLE,
            created_at_ms=0,
            trust_policy="{}",
            tags={"Stage": "prod"},
        )


class Sessions:
    """The part of `sessions` that deployment asks."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    async def role_can_be_assumed_by(
        self, role_arn: str, service: str, *, now_ms: int, source_arn: str | None = None
    ) -> bool:
        self.asked.append((role_arn, service, source_arn))
        return role_arn == ROLE


class World:
    def __init__(self, database: Database, code: CodeDirectory) -> None:
        self.database = database
        self.code = code
        self.compiled: list[str] = []
        self.changes: list[tuple[str, str, int | None]] = []
        self.store = SqlFunctionStore(database, key=KEY)
        self.catalog = FunctionCatalog(self.store)
        self.catalog.on_change(
            lambda account, name, function: self.changes.append(
                (account, name, None if function is None else function.memory_mib)
            )
        )
        self.sessions = Sessions()
        self.limits = Limits(concurrency=1000, code_bytes=10_000)
        self.services = SimpleNamespace(
            catalog=self.catalog,
            code_store=code,
            code_links=CodeLinks(key=KEY, base_url="http://here"),
            sessions=self.sessions,
            identities=SimpleNamespace(roles=Roles()),
            functions=Functions(
                store=self.store,
                code_store=code,
                catalog=self.catalog,
                transactions=database,
                platform=lambda: Platform(runtimes=("nodejs20.x", "python3.11", "python3.12"), architecture="x86_64"),
                limits=self.limits,
            ),
        )
        self.notes: dict[str, str | int] = {}

    def scene(self, account_id: str = ACCOUNT, region: str = REGION) -> Scene:
        self.notes = {}
        return Scene(
            services=self.services,
            principal=Principal(
                kind=PrincipalKind.USER, account_id=account_id, arn="arn:aws:iam::1:user/u", unique_id="AIDA"
            ),
            region=region,
            request_id="r",
            now_ms=NOW,
            source=Source(ip="127.0.0.1", user_agent="t", tls=False, received_at_ms=NOW),
            notes=self.notes,
        )

    async def target(self, name: str, parameters: dict, **scene) -> Target:
        found = ROWS[name].target(self.scene(**scene), parameters)
        return await found if inspect.isawaitable(found) else found

    async def further(self, name: str, parameters: dict, **scene):
        found = ROWS[name].further(self.scene(**scene), parameters)
        return await found if inspect.isawaitable(found) else found

    async def __call__(self, name: str, **parameters):
        """The steps of `flows.perform` but the decision and the record."""
        row = ROWS[name]
        await self.target(name, parameters)
        await self.further(name, parameters)
        scene = self.scene()
        command = dict(parameters)
        if row.prepare is not None:
            command |= await row.prepare(scene, command)
        if row.access is Access.WRITE:
            async with self.database.begin():
                return await row.handle(scene, command)
        return await row.handle(scene, command)

    async def create(self, **changes):
        return await self("CreateFunction", **{**WANTED, **changes})


WANTED = {
    "FunctionName": "resize",
    "Runtime": "python3.11",
    "Role": ROLE,
    "Handler": "app.handler",
    "Code": {"ZipFile": ZIP},
}


@pytest.fixture
async def world(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/db")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    compiled: list[str] = []
    code = CodeDirectory(
        tmp_path / "code", clock=SystemClock(), compile_with=lambda runtime, _tree: compiled.append(runtime)
    )
    code.open()
    world = World(database, code)
    world.compiled = compiled
    yield world
    await database.close()


def without(shown: dict, *members: str) -> dict:
    return {member: value for member, value in shown.items() if member not in members}


# --- create --------------------------------------------------------------------------------------------------------


async def test_a_new_function_is_shown_whole(world):
    shown = await world.create(Description="d", Timeout=9, MemorySize=256, Environment={"Variables": {"TOKEN": "x"}})
    digest = hashlib.sha256(ZIP).digest()
    assert without(shown, "RevisionId", "RuntimeVersionConfig") == {
        "FunctionName": "resize",
        "FunctionArn": ARN,
        "Runtime": "python3.11",
        "Role": ROLE,
        "Handler": "app.handler",
        "CodeSize": len(ZIP),
        "Description": "d",
        "Timeout": 9,
        "MemorySize": 256,
        "LastModified": "2027-01-15T08:00:00.123+0000",
        "CodeSha256": base64.b64encode(digest).decode(),
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/resize"},
        "Environment": {"Variables": {"TOKEN": "x"}},
    }
    assert world.notes == {"codeSha256": digest.hex(), "codeBytes": len(ZIP)}
    assert world.compiled == ["python3.11"]


async def test_every_member_that_is_shown_is_in_the_service_model(world):
    model = botocore.session.get_session().get_service_model("lambda")
    await world.create(Tags={"a": "b"})
    for name in (
        "GetFunction",
        "GetFunctionConfiguration",
        "ListFunctions",
        "ListVersionsByFunction",
        "GetAccountSettings",
    ):
        unknown = unknown_members(model.operation_model(name).output_shape, await world(name, FunctionName="resize"))
        assert unknown == [], name


def unknown_members(shape, value, place="") -> list[str]:
    if shape.type_name == "structure":
        return [
            found
            for member, inner in value.items()
            for found in (
                unknown_members(shape.members[member], inner, f"{place}.{member}")
                if member in shape.members
                else [f"{place}.{member}"]
            )
        ]
    if shape.type_name == "list":
        return [found for inner in value for found in unknown_members(shape.member, inner, f"{place}[]")]
    return []


async def test_every_row_is_an_operation_of_the_service_model(world):
    model = botocore.session.get_session().get_service_model("lambda")
    for name, row in ROWS.items():
        assert name in model.operation_names
        assert row.action == f"lambda:{name}"
        reads = name.startswith(("Get", "List"))
        assert row.access is (Access.READ if reads else Access.WRITE)


async def test_a_name_is_taken_once(world):
    await world.create()
    with pytest.raises(FunctionAlreadyExists, match=r"^Function already exist: resize$"):
        await world.create()


async def test_two_creations_at_once_make_one_function(world):
    """Both passed the check before the transaction."""
    scene = world.scene()
    prepared = [await ROWS["CreateFunction"].prepare(scene, WANTED) for _ in range(2)]
    async with world.database.begin():
        await ROWS["CreateFunction"].handle(scene, {**WANTED, **prepared[0]})
    with pytest.raises(FunctionAlreadyExists):
        await world_write(world, "CreateFunction", {**WANTED, **prepared[1]})


async def world_write(world, name, command):
    async with world.database.begin():
        return await ROWS[name].handle(world.scene(), command)


async def test_a_creation_that_is_rolled_back_is_never_seen(world):
    scene = world.scene()
    command = {**WANTED, **await ROWS["CreateFunction"].prepare(scene, WANTED)}

    async def create_and_fail() -> None:
        async with world.database.begin():
            await ROWS["CreateFunction"].handle(scene, command)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await create_and_fail()
    assert world.changes == []
    assert world.catalog.peek(ACCOUNT, "resize") is None
    assert await world.catalog.get(ACCOUNT, "resize") is None


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"Code": {}}, InvalidParameter, "Please provide a source for function code."),
        ({"Code": {"ZipFile": b"no zip"}}, InvalidPackage, "Could not unzip uploaded file"),
        ({"Code": {"S3Bucket": "b", "S3Key": "k"}}, InvalidParameter, "does not offer S3Bucket"),
        ({"Runtime": "ruby3.4"}, InvalidParameter, "Value ruby3.4 at 'runtime' failed"),
        ({"FunctionName": "resize:1"}, InvalidParameter, "without a qualifier"),
        ({"Publish": True}, InvalidParameter, "does not offer Publish"),
        ({"Architectures": ["arm64"]}, InvalidParameter, "this machine's own, x86_64"),
        ({"Role": f"arn:aws:iam::{ACCOUNT}:role/other"}, InvalidParameter, "cannot be assumed by Lambda"),
        ({"Tags": {"aws:x": "y"}}, InvalidParameter, "reserved"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, InvalidParameter, "Reserved keys"),
    ],
)
async def test_what_cannot_be_deployed_is_refused_and_leaves_no_function(world, changes, error, words):
    with pytest.raises(error, match=words):
        await world.create(**changes)
    assert await world.store.list(ACCOUNT) == ()


async def test_code_beyond_the_accounts_storage_is_refused(world):
    await world.create()
    large = zip_with("#" * 10_000)
    with pytest.raises(CodeStorageExceeded):
        await world.create(FunctionName="large", Code={"ZipFile": large})
    with pytest.raises(CodeStorageExceeded):
        await world("UpdateFunctionCode", FunctionName="resize", ZipFile=large)


# --- what is decided about -----------------------------------------------------------------------------------------


async def test_a_function_that_is_not_there_has_the_arn_it_would_have(world):
    unknown = await world.target("GetFunction", {"FunctionName": "resize"})
    assert unknown == Target(arn=ARN, account_id=ACCOUNT)
    await world.create()
    assert (await world.target("GetFunction", {"FunctionName": "resize"})).arn == unknown.arn


async def test_a_target_brings_its_policy_its_tags_and_its_qualifier(world):
    await world.create(Tags={"Team": "media"})
    await world("AddPermission", FunctionName="resize", StatementId="s", Action="lambda:InvokeFunction", Principal="*")
    target = await world.target("GetFunction", {"FunctionName": "resize", "Qualifier": "$LATEST"})
    assert target.arn == f"{ARN}:$LATEST"
    assert target.context == {"aws:resourcetag/team": "media"}
    assert json.loads(target.policy)["Statement"][0]["Principal"] == "*"


async def test_another_accounts_function_is_that_accounts(world):
    await world.create()
    target = await world.target("GetFunction", {"FunctionName": ARN}, account_id="999999999999")
    assert target.account_id == ACCOUNT


async def test_a_role_that_is_handed_over_is_a_demand_with_its_tags(world):
    for name in ("CreateFunction", "UpdateFunctionConfiguration"):
        (demand,) = await world.further(name, WANTED)
        assert demand.action == "iam:PassRole"
        assert demand.target.arn == ROLE
        assert demand.target.context["iam:passedtoservice"] == "lambda.amazonaws.com"
        assert demand.target.context["iam:associatedresourcearn"] == ARN
        assert demand.target.context["aws:resourcetag/stage"] == "prod"


async def test_no_role_is_no_demand(world):
    assert await world.further("UpdateFunctionConfiguration", {"FunctionName": "resize"}) == ()


async def test_another_accounts_role_is_refused(world):
    foreign = {**WANTED, "Role": "arn:aws:iam::999999999999:role/worker"}
    for name in ("CreateFunction", "UpdateFunctionConfiguration"):
        with pytest.raises(errors.Denied, match="Cross-account pass role is not allowed"):
            await world.further(name, foreign)


async def test_tags_at_creation_need_the_permission_to_tag(world):
    tagged = {**WANTED, "Tags": {"Team": "media"}}
    demands = await world.further("CreateFunction", tagged)
    asks = {"aws:requesttag/team": "media", "aws:tagkeys": ["Team"]}
    assert [(demand.action, demand.target.context) for demand in demands[1:]] == [("lambda:TagResource", asks)]
    assert (await world.target("CreateFunction", tagged)).context == asks


async def test_whom_a_permission_lets_in_can_be_decided_about(world):
    target = await world.target(
        "AddPermission",
        {"FunctionName": "resize", "Principal": "*", "FunctionUrlAuthType": "NONE"},
    )
    assert target.context == {"lambda:principal": "*", "lambda:functionurlauthtype": "NONE"}


async def test_secrets_and_code_are_redacted(world):
    assert ROWS["CreateFunction"].redact == {"Code", "Environment.Variables"}
    assert ROWS["UpdateFunctionConfiguration"].redact == {"Environment.Variables"}
    assert ROWS["UpdateFunctionCode"].redact == {"ZipFile"}


# --- read ----------------------------------------------------------------------------------------------------------


async def test_get_function_gives_a_link_that_opens_to_its_package(world):
    await world.create(Tags={"a": "b"})
    await world("PutFunctionConcurrency", FunctionName="resize", ReservedConcurrentExecutions=5)
    shown = await world("GetFunction", FunctionName="resize")
    assert shown["Tags"] == {"a": "b"}
    assert shown["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    token = shown["Code"]["Location"].removeprefix("http://here/code/")
    link = open_link(KEY, token, now_ms=NOW)
    assert (link.account_id, world.code.zip_path(link.digest).read_bytes()) == (ACCOUNT, ZIP)


async def test_a_version_or_alias_that_is_not_there_is_not_found_by_its_full_name(world):
    await world.create()
    assert (await world("GetFunctionConfiguration", FunctionName="resize:$LATEST"))["FunctionArn"] == f"{ARN}:$LATEST"
    with pytest.raises(FunctionNotFound) as caught:
        await world("GetFunction", FunctionName="resize", Qualifier="7")
    assert caught.value.message == f"Function not found: {ARN}:7"
    with pytest.raises(FunctionNotFound) as caught:
        await world("GetFunction", FunctionName="nobody")
    assert caught.value.message == f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"


async def test_a_function_is_not_found_in_another_region(world):
    await world.create()
    row = ROWS["GetFunction"]
    with pytest.raises(FunctionNotFound):
        await row.handle(world.scene(region="us-east-1"), {"FunctionName": "resize"})
    assert (await world.target("GetFunction", {"FunctionName": "resize"}, region="us-east-1")).policy is None


async def test_a_list_comes_in_pages_that_join_without_a_gap(world):
    for name in ("a", "b", "c"):
        await world.create(FunctionName=name)
    first = await world("ListFunctions", MaxItems=2)
    rest = await world("ListFunctions", MaxItems=2, Marker=first["NextMarker"])
    assert [shown["FunctionName"] for shown in first["Functions"] + rest["Functions"]] == ["a", "b", "c"]
    assert "NextMarker" not in rest


async def test_what_a_function_does_not_have_is_answered_as_aws_answers(world):
    await world.create()
    versions = await world("ListVersionsByFunction", FunctionName="resize", MaxItems=10_000)
    assert [shown["FunctionArn"] for shown in versions["Versions"]] == [f"{ARN}:$LATEST"]
    assert await world("ListAliases", FunctionName="resize") == {"Aliases": []}
    assert await world("GetFunctionCodeSigningConfig", FunctionName="resize") == {
        "CodeSigningConfigArn": "",
        "FunctionName": "resize",
    }
    assert await world("ListEventSourceMappings") == {"EventSourceMappings": []}
    with pytest.raises(FunctionNotFound) as caught:
        await world("GetFunctionEventInvokeConfig", FunctionName="resize")
    assert caught.value.message == f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig"


async def test_the_account_sees_what_it_uses(world):
    await world.create()
    await world("PutFunctionConcurrency", FunctionName="resize", ReservedConcurrentExecutions=5)
    settings = await world("GetAccountSettings")
    assert settings["AccountUsage"] == {"TotalCodeSize": len(ZIP), "FunctionCount": 1}
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 995


# --- update --------------------------------------------------------------------------------------------------------


async def test_new_code_has_a_new_revision_and_the_old_code_stays_for_who_runs_on_it(world):
    before = await world.create()
    newer = zip_with("def handler(event, context): return 2\n")
    after = await world("UpdateFunctionCode", FunctionName="resize", ZipFile=newer)
    assert after["RevisionId"] != before["RevisionId"]
    assert after["CodeSha256"] == base64.b64encode(hashlib.sha256(newer).digest()).decode()
    assert (world.code.path(hashlib.sha256(ZIP).hexdigest()) / "app.py").exists()
    assert world.catalog.peek(ACCOUNT, "resize").code.digest == hashlib.sha256(newer).hexdigest()


async def test_a_dry_run_changes_nothing(world):
    await world.create()
    stored = await world.store.get(ACCOUNT, "resize")
    shown = await world("UpdateFunctionCode", FunctionName="resize", ZipFile=zip_with("x = 1\n"), DryRun=True)
    assert shown["CodeSha256"] != base64.b64encode(bytes.fromhex(stored.code.digest)).decode()
    assert await world.store.get(ACCOUNT, "resize") == stored


async def test_an_update_changes_what_it_names_and_leaves_the_rest(world):
    before = await world.create(Environment={"Variables": {"A1": "b"}}, Timeout=7)
    after = await world("UpdateFunctionConfiguration", FunctionName="resize", MemorySize=512)
    changed = {member for member in after if after[member] != before[member]}
    assert changed == {"MemorySize", "RevisionId"}
    emptied = await world("UpdateFunctionConfiguration", FunctionName="resize", Environment={"Variables": {}})
    assert "Environment" not in emptied


async def test_another_runtime_gets_its_bytecode(world):
    await world.create()
    await world("UpdateFunctionConfiguration", FunctionName="resize", Runtime="python3.12")
    await world("UpdateFunctionConfiguration", FunctionName="resize", Runtime="nodejs20.x")
    assert world.compiled == ["python3.11", "python3.12"]


@pytest.mark.parametrize(
    ("name", "change"),
    [("UpdateFunctionCode", {"ZipFile": ZIP}), ("UpdateFunctionConfiguration", {"Timeout": 5})],
)
async def test_an_update_of_a_stale_revision_is_refused(world, name, change):
    shown = await world.create()
    await world(name, FunctionName="resize", RevisionId=shown["RevisionId"], **change)
    with pytest.raises(RevisionMismatch) as caught:
        await world(name, FunctionName="resize", RevisionId=shown["RevisionId"], **change)
    assert caught.value.message == (
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
    )


async def test_listeners_hear_of_every_change_after_it_is_committed(world):
    await world.create()
    await world("UpdateFunctionConfiguration", FunctionName="resize", MemorySize=512)
    await world("DeleteFunction", FunctionName="resize")
    assert world.changes == [(ACCOUNT, "resize", 128), (ACCOUNT, "resize", 512), (ACCOUNT, "resize", None)]


async def test_a_policy_tag_or_reservation_does_not_retire_environments(world):
    shown = await world.create()
    await world("AddPermission", FunctionName="resize", StatementId="s", Action="lambda:InvokeFunction", Principal="*")
    await world("TagResource", Resource=ARN, Tags={"a": "b"})
    await world("PutFunctionConcurrency", FunctionName="resize", ReservedConcurrentExecutions=1)
    assert world.catalog.peek(ACCOUNT, "resize").revision_id == shown["RevisionId"]


# --- delete --------------------------------------------------------------------------------------------------------


async def test_a_deleted_function_is_gone_and_its_name_is_free(world):
    await world.create()
    assert await world("DeleteFunction", FunctionName="resize") == {"StatusCode": 204}
    assert world.catalog.peek(ACCOUNT, "resize") is None
    with pytest.raises(FunctionNotFound):
        await world("DeleteFunction", FunctionName="resize")
    await world.create()


async def test_latest_cannot_be_deleted_alone(world):
    await world.create()
    with pytest.raises(InvalidParameter, match="cannot be deleted without deleting the function"):
        await world("DeleteFunction", FunctionName="resize", Qualifier="$LATEST")


# --- resource policy -----------------------------------------------------------------------------------------------

GRANT = {
    "FunctionName": "resize",
    "StatementId": "s1",
    "Action": "lambda:InvokeFunction",
    "Principal": "s3.amazonaws.com",
    "SourceArn": "arn:aws:s3:::bucket",
}


async def test_a_permission_is_added_read_and_removed(world):
    await world.create()
    added = await world("AddPermission", **GRANT)
    shown = await world("GetPolicy", FunctionName="resize")
    assert json.loads(shown["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [json.loads(added["Statement"])],
    }
    assert json.loads(added["Statement"])["Resource"] == ARN
    with pytest.raises(StatementExists):
        await world("AddPermission", **GRANT)
    await world("RemovePermission", FunctionName="resize", StatementId="s1")
    with pytest.raises(FunctionNotFound, match="The resource you requested does not exist"):
        await world("GetPolicy", FunctionName="resize")


async def test_a_stale_policy_revision_is_refused(world):
    await world.create()
    await world("AddPermission", **GRANT)
    revision = (await world("GetPolicy", FunctionName="resize"))["RevisionId"]
    await world("AddPermission", **{**GRANT, "StatementId": "s2", "RevisionId": revision})
    with pytest.raises(RevisionMismatch, match="GetPolicy"):
        await world("RemovePermission", FunctionName="resize", StatementId="s2", RevisionId=revision)


async def test_policies_of_what_is_not_there_are_refused_in_the_words_of_aws(world):
    with pytest.raises(FunctionNotFound, match=f"^No policy found for: {ARN}$"):
        await world("RemovePermission", FunctionName="resize", StatementId="s1")
    with pytest.raises(FunctionNotFound, match=f"^Function not found: {ARN}$"):
        await world("AddPermission", **GRANT)
    await world.create()
    with pytest.raises(InvalidParameter, match=r"We currently do not support adding policies for \$LATEST"):
        await world("AddPermission", **GRANT, Qualifier="$LATEST")


# --- tags and concurrency ------------------------------------------------------------------------------------------


async def test_tags_are_added_listed_and_removed(world):
    await world.create(Tags={"a": "1"})
    await world("TagResource", Resource=ARN, Tags={"b": "2", "a": "3"})
    assert await world("ListTags", Resource=ARN) == {"Tags": {"a": "3", "b": "2"}}
    await world("UntagResource", Resource=ARN, TagKeys=["a", "never"])
    assert await world("ListTags", Resource=ARN) == {"Tags": {"b": "2"}}
    with pytest.raises(InvalidParameter, match="Duplicate tag keys"):
        await world("TagResource", Resource=ARN, Tags={"B": "x"})


async def test_only_a_function_itself_has_tags(world):
    await world.create()
    with pytest.raises(InvalidParameter, match="Tags on function aliases and versions are not supported"):
        await world("ListTags", Resource=f"{ARN}:$LATEST")
    with pytest.raises(FunctionNotFound):
        await world("ListTags", Resource=f"arn:aws:lambda:{REGION}:{ACCOUNT}:capacity-provider:x")


async def test_reserved_concurrency_is_set_counted_and_given_back(world):
    await world.create()
    await world.create(FunctionName="other")
    await world("PutFunctionConcurrency", FunctionName="resize", ReservedConcurrentExecutions=500)
    assert await world("GetFunctionConcurrency", FunctionName="resize") == {"ReservedConcurrentExecutions": 500}
    assert world.catalog.reserved_total(ACCOUNT) == 500
    with pytest.raises(InvalidParameter, match=r"below its minimum value of \[100\]"):
        await world("PutFunctionConcurrency", FunctionName="other", ReservedConcurrentExecutions=401)
    await world("PutFunctionConcurrency", FunctionName="resize", ReservedConcurrentExecutions=900)
    await world("DeleteFunctionConcurrency", FunctionName="resize")
    assert await world("GetFunctionConcurrency", FunctionName="resize") == {}
    with pytest.raises(InvalidParameter, match="unqualified function ARN"):
        await world("PutFunctionConcurrency", FunctionName="resize:$LATEST", ReservedConcurrentExecutions=1)


# --- the catalog ---------------------------------------------------------------------------------------------------


async def test_a_change_while_the_catalog_reads_is_never_overwritten_by_what_was_read(world):
    await world.create()
    old = await world.store.get(ACCOUNT, "resize")

    class SlowStore:
        async def get(self, _account_id, _name):
            catalog.changed(ACCOUNT, "resize", newer)
            return old

    newer = await world.store.get(ACCOUNT, "resize")
    catalog = FunctionCatalog(SlowStore())
    assert await catalog.get(ACCOUNT, "resize") is newer
    assert catalog.peek(ACCOUNT, "resize") is newer


async def test_a_deletion_while_the_catalog_reads_is_not_undone(world):
    await world.create()
    answers = [await world.store.get(ACCOUNT, "resize"), None]

    class SlowStore:
        async def get(self, _account_id, _name):
            catalog.changed(ACCOUNT, "resize", None)
            return answers.pop(0)

    catalog = FunctionCatalog(SlowStore())
    assert await catalog.get(ACCOUNT, "resize") is None
    assert catalog.peek(ACCOUNT, "resize") is None
