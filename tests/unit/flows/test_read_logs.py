"""CloudWatch Logs on real files: reading, writing, tokens, and the ARNs on which IAM decides."""

from __future__ import annotations

from types import SimpleNamespace

import botocore.session
import pytest

from leastwise.flows import read_logs, write_logs
from leastwise.flows.interface import Scene
from leastwise.flows.log_pages import LARGEST_PAGE
from leastwise.iam.interface import Principal, PrincipalKind
from leastwise.kernel.call import Source
from leastwise.kernel.events import Access, EventClass
from leastwise.logs.interface import (
    InvalidLogsParameter,
    LogGroupExists,
    LogGroupNotFound,
    LogStreamExists,
    LogStreamNotFound,
)
from leastwise.storage.log_files import LogFiles

ACCOUNT = "123456789012"
GROUP = "/aws/lambda/hello"
STREAM = "2026/11/23/[$LATEST]0123456789abcdef0123456789abcdef"
NOW = 1_795_459_679_000
ROWS = {row.name: row for row in (*read_logs.OPERATIONS, *write_logs.OPERATIONS)}


@pytest.fixture
def logs(tmp_path):
    return LogFiles(tmp_path, region="us-east-1")


@pytest.fixture
def scene(logs):
    return make_scene(logs)


def make_scene(logs, *, region="us-east-1", account=ACCOUNT):
    return Scene(
        services=SimpleNamespace(log_reader=logs, log_writer=logs),
        principal=Principal(
            kind=PrincipalKind.ROOT, account_id=account, arn=f"arn:aws:iam::{account}:root", unique_id=account
        ),
        region=region,
        request_id="id",
        now_ms=NOW,
        source=Source(ip="127.0.0.1", user_agent="", tls=False, received_at_ms=NOW),
        notes={},
    )


def fill(logs, count=10, *, stream=STREAM, group=GROUP, text="message {}", at=NOW):
    logs.write(ACCOUNT, group, stream, [(at + number, text.format(number)) for number in range(count)], ingested_ms=NOW)


async def call(scene, name, **parameters):
    return await ROWS[name].handle(scene, parameters)


def texts(result):
    return [event["message"] for event in result["events"]]


def numbers(result):
    return [int(text.rpartition(" ")[2]) for text in texts(result)]


@pytest.mark.parametrize(
    ("name", "parameters", "resource"),
    [
        ("DescribeLogGroups", {}, "log-group::log-stream:"),
        ("DescribeLogGroups", {"logGroupNamePrefix": "/aws"}, "log-group::log-stream:"),
        ("DescribeLogStreams", {"logGroupName": GROUP}, f"log-group:{GROUP}:log-stream:"),
        ("FilterLogEvents", {"logGroupName": GROUP}, f"log-group:{GROUP}:log-stream:"),
        (
            "FilterLogEvents",
            {"logGroupIdentifier": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}:*"},
            f"log-group:{GROUP}:log-stream:",
        ),
        (
            "GetLogEvents",
            {"logGroupName": GROUP, "logStreamName": STREAM},
            f"log-group:{GROUP}:log-stream:{STREAM}",
        ),
        ("CreateLogGroup", {"logGroupName": GROUP}, f"log-group:{GROUP}:log-stream:"),
        ("DeleteLogGroup", {"logGroupName": GROUP}, f"log-group:{GROUP}:log-stream:"),
        ("CreateLogStream", {"logGroupName": GROUP, "logStreamName": "s"}, f"log-group:{GROUP}:log-stream:s"),
        ("PutLogEvents", {"logGroupName": GROUP, "logStreamName": "s"}, f"log-group:{GROUP}:log-stream:s"),
    ],
)
def test_the_decision_is_made_on_the_arn_that_aws_uses(scene, name, parameters, resource):
    target = ROWS[name].target(scene, parameters)
    assert (f"arn:aws:logs:us-east-1:{ACCOUNT}:{resource}", ACCOUNT) == (target.arn, target.account_id)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_operation_is_one_of_the_service_model(name):
    model = botocore.session.get_session().get_service_model("logs").operation_model(name)
    assert name == model.name
    assert f"logs:{name}" == ROWS[name].action


def test_only_the_stream_of_events_is_a_data_event():
    assert ["PutLogEvents"] == [name for name, row in ROWS.items() if row.event_class is EventClass.DATA]
    assert {"CreateLogGroup", "CreateLogStream", "DeleteLogGroup", "PutLogEvents"} == {
        name for name, row in ROWS.items() if row.access is Access.WRITE
    }


@pytest.mark.parametrize("name", ["GetLogEvents", "FilterLogEvents", "DescribeLogStreams", "DeleteLogGroup"])
async def test_a_missing_group_is_told_in_the_words_of_aws(scene, name):
    with pytest.raises(LogGroupNotFound) as refusal:
        await call(scene, name, logGroupName="nope", logStreamName="s")
    assert "The specified log group does not exist." == refusal.value.message


async def test_a_missing_stream_is_told_in_the_words_of_aws(scene, logs):
    fill(logs)
    for name, where in (("GetLogEvents", {"logStreamName": "nope"}), ("FilterLogEvents", {"logStreamNames": ["nope"]})):
        with pytest.raises(LogStreamNotFound) as refusal:
            await call(scene, name, logGroupName=GROUP, **where)
        assert "The specified log stream does not exist." == refusal.value.message


async def test_a_group_is_not_found_through_another_region(logs):
    fill(logs)
    elsewhere = make_scene(logs, region="eu-west-1")
    assert {"logGroups": []} == await call(elsewhere, "DescribeLogGroups")
    for name, row in ROWS.items():
        if name != "DescribeLogGroups":
            refusal = InvalidLogsParameter if name == "CreateLogGroup" else LogGroupNotFound
            with pytest.raises(refusal):
                await row.handle(
                    elsewhere,
                    {"logGroupName": GROUP, "logStreamName": STREAM, "logEvents": [{"timestamp": NOW, "message": "x"}]},
                )
    assert 10 == len((await call(make_scene(logs), "FilterLogEvents", logGroupName=GROUP))["events"])


async def test_a_group_of_another_account_is_not_found(scene, logs):
    logs.write("999999999999", GROUP, STREAM, [(NOW, "secret")], ingested_ms=NOW)
    with pytest.raises(LogGroupNotFound):
        await call(scene, "FilterLogEvents", logGroupName=GROUP)
    with pytest.raises(LogGroupNotFound):
        await call(
            scene, "FilterLogEvents", logGroupIdentifier=f"arn:aws:logs:us-east-1:999999999999:log-group:{GROUP}"
        )


@pytest.mark.parametrize("names", [{}, {"logGroupName": GROUP, "logGroupIdentifier": GROUP}])
async def test_a_group_is_named_exactly_once(scene, names):
    with pytest.raises(InvalidLogsParameter):
        await call(scene, "FilterLogEvents", **names)


@pytest.mark.parametrize("name", ["a b", "a*", "", "x" * 513, "ü"])
def test_a_group_name_of_another_form_is_refused_before_it_is_decided_on(scene, name):
    with pytest.raises(InvalidLogsParameter):
        ROWS["CreateLogGroup"].target(scene, {"logGroupName": name})


@pytest.mark.parametrize("name", ["a:b", "a*", ""])
def test_a_stream_name_of_another_form_is_refused_before_it_is_decided_on(scene, name):
    with pytest.raises(InvalidLogsParameter):
        ROWS["GetLogEvents"].target(scene, {"logGroupName": GROUP, "logStreamName": name})


async def test_without_a_token_the_newest_events_come_in_order(scene, logs):
    fill(logs)
    result = await call(scene, "GetLogEvents", logGroupName=GROUP, logStreamName=STREAM, limit=3)
    assert [7, 8, 9] == numbers(result)
    assert {"timestamp": NOW + 7, "message": "message 7", "ingestionTime": NOW} == result["events"][0]


async def test_reading_forwards_ends_with_the_token_that_was_given(scene, logs):
    fill(logs)
    seen, token, more = [], None, {"startFromHead": True}
    while True:
        result = await call(scene, "GetLogEvents", logGroupName=GROUP, logStreamName=STREAM, limit=4, **more)
        seen.extend(numbers(result))
        if result["nextForwardToken"] == token:
            break
        token = result["nextForwardToken"]
        more = {"nextToken": token, "startFromHead": True}
    assert list(range(10)) == seen
    fill(logs, 2, at=NOW + 100, text="later {}")
    result = await call(scene, "GetLogEvents", logGroupName=GROUP, logStreamName=STREAM, nextToken=token)
    assert ["later 0", "later 1"] == texts(result)


async def test_reading_backwards_ends_with_the_token_that_was_given(scene, logs):
    fill(logs)
    seen, token, more = [], None, {}
    while True:
        result = await call(scene, "GetLogEvents", logGroupName=GROUP, logStreamName=STREAM, limit=4, **more)
        seen = numbers(result) + seen
        if result["nextBackwardToken"] == token:
            break
        token = result["nextBackwardToken"]
        more = {"nextToken": token}
    assert list(range(10)) == seen


async def test_at_either_end_one_can_turn_round(scene, logs):
    fill(logs, 3)
    where = {"logGroupName": GROUP, "logStreamName": STREAM}
    page = await call(scene, "GetLogEvents", **where)
    end = await call(scene, "GetLogEvents", **where, nextToken=page["nextForwardToken"])
    assert ([], [0, 1, 2]) == (
        numbers(end),
        numbers(await call(scene, "GetLogEvents", **where, nextToken=end["nextBackwardToken"])),
    )
    start = await call(scene, "GetLogEvents", **where, nextToken=page["nextBackwardToken"])
    assert ([], [0, 1, 2]) == (
        numbers(start),
        numbers(await call(scene, "GetLogEvents", **where, nextToken=start["nextForwardToken"])),
    )


async def test_an_empty_stream_has_tokens_that_work_later(scene, logs):
    await call(scene, "CreateLogGroup", logGroupName=GROUP)
    await call(scene, "CreateLogStream", logGroupName=GROUP, logStreamName=STREAM)
    where = {"logGroupName": GROUP, "logStreamName": STREAM}
    empty = await call(scene, "GetLogEvents", **where)
    again = await call(scene, "GetLogEvents", **where, nextToken=empty["nextForwardToken"])
    assert ([], empty["nextForwardToken"]) == (again["events"], again["nextForwardToken"])
    fill(logs, 2)
    assert [0, 1] == numbers(await call(scene, "GetLogEvents", **where, nextToken=empty["nextForwardToken"]))


@pytest.mark.parametrize("token", ["", "x", "f/1/s", "f/" + "9" * 56, "x/" + "9" * 56 + "/s", "f/" + "٣" * 56 + "/s"])
async def test_a_foreign_token_is_refused(scene, logs, token):
    fill(logs)
    for name, where in (
        ("GetLogEvents", {"logStreamName": STREAM}),
        ("FilterLogEvents", {}),
        ("DescribeLogStreams", {}),
    ):
        with pytest.raises(InvalidLogsParameter) as refusal:
            await call(scene, name, logGroupName=GROUP, nextToken=token or "é", **where)
        assert "The specified nextToken is invalid." == refusal.value.message


async def test_the_end_of_the_range_is_outside_in_one_operation_and_inside_in_the_other(scene, logs):
    fill(logs)
    limits = {"logGroupName": GROUP, "startTime": NOW + 2, "endTime": NOW + 4}
    got = await call(scene, "GetLogEvents", **limits, logStreamName=STREAM)
    filtered = await call(scene, "FilterLogEvents", **limits)
    assert ([2, 3], [2, 3, 4]) == (numbers(got), numbers(filtered))


async def test_a_page_has_at_most_a_megabyte_and_the_token_goes_on(scene, logs):
    fill(logs, 30, text="x" * 100_000 + " {}")
    seen, more, pages = [], {}, 0
    while True:
        result = await call(scene, "FilterLogEvents", logGroupName=GROUP, **more)
        assert sum(len(text) + 26 for text in texts(result)) <= LARGEST_PAGE
        seen.extend(numbers(result))
        pages += 1
        if "nextToken" not in result:
            break
        more = {"nextToken": result["nextToken"]}
    assert (list(range(30)), 3) == (seen, pages)
    page = await call(scene, "GetLogEvents", logGroupName=GROUP, logStreamName=STREAM)
    assert list(range(20, 30)) == numbers(page)


async def test_an_event_larger_than_a_page_is_a_page(scene, logs):
    fill(logs, 2, text="☃" * 600_000 + " {}")
    first = await call(scene, "FilterLogEvents", logGroupName=GROUP)
    second = await call(scene, "FilterLogEvents", logGroupName=GROUP, nextToken=first["nextToken"])
    assert ([0], [1], False) == (numbers(first), numbers(second), "nextToken" in second)
    assert [1] == numbers(await call(scene, "GetLogEvents", logGroupName=GROUP, logStreamName=STREAM))


async def test_a_search_looks_through_all_streams_or_some(scene, logs):
    for name in ("a/1", "a/2", "b/1"):
        fill(logs, 2, stream=name, text=name + " {}")
    everything = await call(scene, "FilterLogEvents", logGroupName=GROUP)
    assert ["a/1 0", "a/2 0", "b/1 0", "a/1 1", "a/2 1", "b/1 1"] == texts(everything)
    assert {
        "logStreamName": "a/1",
        "timestamp": NOW,
        "message": "a/1 0",
        "ingestionTime": NOW,
        "eventId": everything["events"][0]["eventId"],
    } == everything["events"][0]
    assert [] == everything["searchedLogStreams"]
    prefixed = await call(scene, "FilterLogEvents", logGroupName=GROUP, logStreamNamePrefix="a/")
    assert {"a/1", "a/2"} == {event["logStreamName"] for event in prefixed["events"]}
    named = await call(scene, "FilterLogEvents", logGroupName=GROUP, logStreamNames=["b/1"])
    assert ["b/1 0", "b/1 1"] == texts(named)
    assert [] == texts(await call(scene, "FilterLogEvents", logGroupName=GROUP, logStreamNamePrefix="zz"))
    with pytest.raises(InvalidLogsParameter):
        await call(scene, "FilterLogEvents", logGroupName=GROUP, logStreamNames=["b/1"], logStreamNamePrefix="a")


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_a_filtered_search_gives_every_match_once(scene, logs, monkeypatch, limit):
    monkeypatch.setattr(read_logs, "_BATCH", 7)
    monkeypatch.setattr(read_logs, "_MOST_SEARCHED", 20)
    for number in range(100):
        fill(logs, 1, text=f"{'ERROR' if number % 9 == 0 else 'fine'} {number}", at=NOW + number // 3)
    seen, more = [], {}
    while True:
        result = await call(scene, "FilterLogEvents", logGroupName=GROUP, filterPattern="ERROR", limit=limit, **more)
        assert len(result["events"]) <= limit
        seen.extend(numbers(result))
        if "nextToken" not in result:
            break
        more = {"nextToken": result["nextToken"]}
    assert list(range(0, 100, 9)) == seen


async def test_a_search_can_run_backwards(scene, logs):
    fill(logs)
    question = {"logGroupName": GROUP, "startFromHead": False, "startTime": NOW, "limit": 6}
    first = await call(scene, "FilterLogEvents", **question)
    second = await call(scene, "FilterLogEvents", **question, nextToken=first["nextToken"])
    assert [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] == numbers(first) + numbers(second)
    with pytest.raises(InvalidLogsParameter):
        await call(scene, "FilterLogEvents", logGroupName=GROUP, startFromHead=False)


async def test_a_token_is_good_for_the_same_question_only(scene, logs):
    fill(logs)
    token = (await call(scene, "FilterLogEvents", logGroupName=GROUP, limit=2))["nextToken"]
    with pytest.raises(InvalidLogsParameter):
        await call(scene, "FilterLogEvents", logGroupName=GROUP, filterPattern="message", nextToken=token)


async def test_a_malformed_pattern_is_refused(scene, logs):
    fill(logs)
    with pytest.raises(InvalidLogsParameter):
        await call(scene, "FilterLogEvents", logGroupName=GROUP, filterPattern="{ $.x = ")


async def test_groups_are_described_and_paged(scene, logs):
    for number in range(5):
        fill(logs, 1, group=f"/g/{number}")
    first = await call(scene, "DescribeLogGroups", limit=3)
    second = await call(scene, "DescribeLogGroups", limit=3, nextToken=first["nextToken"])
    assert [f"/g/{number}" for number in range(5)] == [
        group["logGroupName"] for page in (first, second) for group in page["logGroups"]
    ]
    assert "nextToken" not in second
    group = first["logGroups"][0]
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/g/0"
    assert (f"{arn}:*", arn, NOW, "STANDARD", 0) == (
        group["arn"],
        group["logGroupArn"],
        group["creationTime"],
        group["logGroupClass"],
        group["metricFilterCount"],
    )
    one = await call(scene, "DescribeLogGroups", logGroupNamePattern="g/3")
    assert ["/g/3"] == [group["logGroupName"] for group in one["logGroups"]]
    named = await call(scene, "DescribeLogGroups", logGroupIdentifiers=["/g/1", f"{arn}"])
    assert ["/g/0", "/g/1"] == [group["logGroupName"] for group in named["logGroups"]]


async def test_streams_are_described_by_name_or_by_their_last_event(scene, logs):
    for name, at in (("b", 1), ("a", 3), ("c", 2)):
        fill(logs, 1, stream=name, at=NOW + at)

    async def order(**options):
        found, more = [], {}
        while True:
            page = await call(scene, "DescribeLogStreams", logGroupName=GROUP, limit=2, **options, **more)
            found.extend(stream["logStreamName"] for stream in page["logStreams"])
            if "nextToken" not in page:
                return "".join(found)
            more = {"nextToken": page["nextToken"]}

    assert "abc" == await order()
    assert "cba" == await order(descending=True)
    assert "bca" == await order(orderBy="LastEventTime")
    assert "acb" == await order(orderBy="LastEventTime", descending=True)
    with pytest.raises(InvalidLogsParameter):
        await order(orderBy="LastEventTime", logStreamNamePrefix="a")
    stream = (await call(scene, "DescribeLogStreams", logGroupName=GROUP))["logStreams"][0]
    assert {
        "logStreamName": "a",
        "creationTime": NOW,
        "firstEventTimestamp": NOW + 3,
        "lastEventTimestamp": NOW + 3,
        "lastIngestionTime": NOW,
        "arn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}:log-stream:a",
        "storedBytes": 0,
    } == stream


async def test_a_function_can_keep_a_log_of_its_own(scene, logs):
    await call(scene, "CreateLogGroup", logGroupName="mine")
    with pytest.raises(LogGroupExists):
        await call(scene, "CreateLogGroup", logGroupName="mine")
    where = {"logGroupName": "mine", "logStreamName": "s"}
    with pytest.raises(LogStreamNotFound):
        await call(scene, "PutLogEvents", **where, logEvents=[{"timestamp": NOW, "message": "x"}])
    await call(scene, "CreateLogStream", **where)
    with pytest.raises(LogStreamExists):
        await call(scene, "CreateLogStream", **where)
    answer = await call(
        scene, "PutLogEvents", **where, logEvents=[{"timestamp": NOW + n, "message": f"m {n}"} for n in range(3)]
    )
    assert ["nextSequenceToken"] == list(answer)
    assert [0, 1, 2] == numbers(await call(scene, "GetLogEvents", **where))
    await call(scene, "DeleteLogGroup", logGroupName="mine")
    with pytest.raises(LogGroupNotFound):
        await call(scene, "GetLogEvents", **where)


async def test_what_was_acknowledged_is_with_the_operating_system(scene, logs, tmp_path):
    await call(scene, "CreateLogGroup", logGroupName="mine")
    where = {"logGroupName": "mine", "logStreamName": "s"}
    await call(scene, "CreateLogStream", **where)
    await call(scene, "PutLogEvents", **where, logEvents=[{"timestamp": NOW, "message": "kept"}])
    another = make_scene(LogFiles(tmp_path, region="us-east-1"))
    assert ["kept"] == texts(await call(another, "GetLogEvents", **where))


DAY = 86_400_000


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "Log events must not be empty."),
        (
            [(NOW, "a"), (NOW - 1, "b")],
            "Log events in a single PutLogEvents request must be in chronological order.",
        ),
        (
            [(NOW - DAY - 1, "a"), (NOW, "b")],
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ),
        ([(NOW, "x" * 1_048_551)], "Upload too large: 1048577 bytes exceeds limit of 1048576"),
    ],
)
async def test_a_batch_that_aws_refuses_is_refused(scene, events, message):
    batch = [{"timestamp": at, "message": text} for at, text in events]
    with pytest.raises(InvalidLogsParameter) as refusal:
        await call(scene, "PutLogEvents", logGroupName=GROUP, logStreamName="s", logEvents=batch)
    assert message == refusal.value.message


async def test_events_that_are_too_old_or_too_new_are_left_out_and_told(scene, logs):
    fill(logs, 1)
    where = {"logGroupName": GROUP, "logStreamName": STREAM}
    old = [NOW - 14 * DAY - 2, NOW - 14 * DAY - 1, NOW - 14 * DAY]
    answer = await call(scene, "PutLogEvents", **where, logEvents=[{"timestamp": at, "message": "old"} for at in old])
    assert {"tooOldLogEventEndIndex": 2} == answer["rejectedLogEventsInfo"]
    new = [NOW + 7_200_000, NOW + 7_200_001]
    answer = await call(scene, "PutLogEvents", **where, logEvents=[{"timestamp": at, "message": "new"} for at in new])
    assert {"tooNewLogEventStartIndex": 1} == answer["rejectedLogEventsInfo"]
    assert ["old", "message 0", "new"] == texts(await call(scene, "GetLogEvents", **where))


@pytest.mark.parametrize(
    "promise",
    [
        {"kmsKeyId": "arn:aws:kms:us-east-1:1:key/x"},
        {"tags": {"a": "b"}},
        {"deletionProtectionEnabled": True},
        {"logGroupClass": "INFREQUENT_ACCESS"},
    ],
)
async def test_a_group_is_not_created_with_a_promise_that_is_not_kept(scene, promise):
    with pytest.raises(InvalidLogsParameter):
        await call(scene, "CreateLogGroup", logGroupName="mine", **promise)
    assert {"logGroups": []} == await call(scene, "DescribeLogGroups")
