"""The webhook receiver: what is let in, and what is not."""

import base64
import hashlib
import hmac
import json

import pytest

SECRET = "correct horse battery staple, and more"
OTHER = "another secret that is long enough too"
NOW_S = 1_764_000_000


@pytest.fixture
def webhook(load, monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.delenv("WEBHOOK_SECRET_PREVIOUS", raising=False)
    return load("webhook")


def signature(body: str, *, secret: str = SECRET, at_s: int = NOW_S) -> str:
    # Not the example's own function: the test says what the protocol is.
    return hmac.new(secret.encode(), f"{at_s}.{body}".encode(), hashlib.sha256).hexdigest()


def request(body: str, header: str | None, *, method: str = "POST") -> dict:
    headers = {} if header is None else {"X-Webhook-Signature": header}
    return {"requestContext": {"http": {"method": method}}, "headers": headers, "body": body, "isBase64Encoded": False}


def signed(body: str, **how) -> dict:
    return request(body, f"t={how.get('at_s', NOW_S)},v1={signature(body, **how)}")


def receive(webhook, event, *, secrets=None, deliveries=None, now_s: int = NOW_S):
    return webhook.receive(
        event,
        secrets=webhook.SECRETS if secrets is None else secrets,
        deliveries=deliveries or webhook.Deliveries(),
        now_s=now_s,
    )


def refused(webhook, event, **how) -> int:
    with pytest.raises(webhook.Refused) as refusal:
        receive(webhook, event, **how)
    return refusal.value.status


BODY = '{"id": "evt_1", "type": "order.created"}'


def test_a_signed_delivery_is_processed(webhook):
    answer = receive(webhook, signed(BODY))
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"id": "evt_1", "repeated": False})


def test_a_body_in_base64_is_verified_as_the_bytes_it_stands_for(webhook):
    event = signed(BODY) | {"body": base64.b64encode(BODY.encode()).decode(), "isBase64Encoded": True}
    assert receive(webhook, event)["statusCode"] == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=,v1=",
        f"t={NOW_S}",
        f"v1={signature(BODY)}",
        f"t={NOW_S},v1={'0' * 64}",
        f"t={NOW_S},v1={signature(BODY)[:-1]}",
        f"t={NOW_S},v1={signature(BODY).upper()}",
        f"t={NOW_S},v1={signature(BODY, secret=OTHER)}",
        f"t={NOW_S + 1},v1={signature(BODY)}",
        f"t={NOW_S},t={NOW_S},v1={signature(BODY)}",
        f"t={NOW_S},v0={signature(BODY)}",
        f"t={NOW_S}," + ",".join(["v1=" + "0" * 64] * 4) + f",v1={signature(BODY)}",
        f"t={NOW_S},v1=ü\udcff",
        f"t=٣,v1={signature(BODY)}",
    ],
)
def test_anything_but_a_valid_signature_is_refused_with_one_and_the_same_answer(webhook, header):
    with pytest.raises(webhook.Refused) as refusal:
        receive(webhook, request(BODY, header))
    assert (refusal.value.status, str(refusal.value)) == (401, "no valid signature")


def test_one_changed_byte_of_the_body_breaks_the_signature(webhook):
    event = signed(BODY) | {"body": BODY.replace("evt_1", "evt_2")}
    assert refused(webhook, event) == 401


@pytest.mark.parametrize("off_by_s", [-301, 301])
def test_a_recorded_or_future_request_is_refused(webhook, off_by_s):
    assert refused(webhook, signed(BODY), now_s=NOW_S + off_by_s) == 401


@pytest.mark.parametrize("off_by_s", [-300, 0, 300])
def test_five_minutes_either_way_are_accepted(webhook, off_by_s):
    assert receive(webhook, signed(BODY), now_s=NOW_S + off_by_s)["statusCode"] == 200


def test_a_repeated_delivery_is_answered_and_not_processed_again(webhook, monkeypatch):
    processed = []
    monkeypatch.setattr(webhook, "process", lambda delivery, idempotency_key: processed.append(idempotency_key))
    deliveries = webhook.Deliveries()
    answers = [json.loads(receive(webhook, signed(BODY), deliveries=deliveries)["body"]) for _ in range(2)]
    assert ([answer["repeated"] for answer in answers], processed) == ([False, True], ["evt_1"])


def test_an_id_used_for_another_body_is_a_conflict(webhook):
    deliveries = webhook.Deliveries()
    receive(webhook, signed(BODY), deliveries=deliveries)
    assert refused(webhook, signed('{"id": "evt_1", "type": "refund"}'), deliveries=deliveries) == 409


def test_a_delivery_that_failed_is_processed_when_it_comes_again(webhook, monkeypatch):
    deliveries = webhook.Deliveries()

    def fail(delivery, idempotency_key):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(webhook, "process", fail)
        with pytest.raises(ConnectionError):
            receive(webhook, signed(BODY), deliveries=deliveries)
    assert not json.loads(receive(webhook, signed(BODY), deliveries=deliveries)["body"])["repeated"]


def test_the_memory_of_deliveries_is_bounded(webhook):
    deliveries = webhook.Deliveries(most=2)
    for key in ("a", "b", "c"):
        deliveries.remember(key, "0")
    assert [deliveries.is_repeated(key, "0") for key in ("a", "b", "c")] == [False, True, True]


@pytest.mark.parametrize("body", ["", "[]", "{", '{"id": 1}', '{"id": ""}', '{"id": "../x"}', "null"])
def test_a_signed_body_without_a_good_id_is_a_bad_request(webhook, body):
    assert refused(webhook, signed(body)) == 400


def test_nothing_is_parsed_before_the_signature_holds(webhook):
    assert refused(webhook, request("{", f"t={NOW_S},v1={'0' * 64}")) == 401


def test_a_body_above_the_limit_is_refused(webhook):
    assert refused(webhook, signed("x" * (256 * 1024 + 1))) == 413


def test_only_post_is_taken(webhook):
    assert refused(webhook, request(BODY, None, method="GET")) == 405


def test_while_a_secret_is_replaced_both_are_good(webhook):
    both = webhook.load_secrets({"WEBHOOK_SECRET": OTHER, "WEBHOOK_SECRET_PREVIOUS": SECRET})
    statuses = [receive(webhook, signed(BODY, secret=secret), secrets=both)["statusCode"] for secret in (SECRET, OTHER)]
    assert statuses == [200, 200]


@pytest.mark.parametrize("environ", [{}, {"WEBHOOK_SECRET": "short"}, {"WEBHOOK_SECRET": "", "X": "y" * 40}])
def test_it_does_not_start_without_a_good_secret(webhook, environ):
    with pytest.raises(RuntimeError):
        webhook.load_secrets(environ)


def test_a_refusal_says_nothing_about_the_secret(webhook, capsys):
    answer = webhook.handler(request(BODY, "t=1,v1=0"), None)
    shown = json.dumps(answer) + capsys.readouterr().out
    assert (answer["statusCode"], SECRET in shown) == (401, False)
