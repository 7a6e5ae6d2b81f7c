"""The pure parts of the demo: its picture is one, its webhook is signed, its REPORT lines are read right."""

import importlib.util
import io
import json
import time
from pathlib import Path

import pytest
from PIL import Image

DEMO = Path(__file__).parents[3] / "examples" / "demo.py"
SECRET = "a secret of more than thirty-two characters"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("example_demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_made_by_hand_is_a_png(demo):
    image = Image.open(io.BytesIO(demo.picture(64, 48)))
    image.load()
    assert (image.format, image.size, image.getpixel((0, 0))) == ("PNG", (64, 48), (0, 0, 128))


def test_the_delivery_is_one_that_the_webhook_takes(demo, load, monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    webhook = load("webhook")
    event = json.loads(json.dumps(demo.delivery(SECRET, '{"id": "evt_1"}')))
    answer = webhook.receive(event, secrets=webhook.SECRETS, deliveries=webhook.Deliveries(), now_s=int(time.time()))
    assert answer["statusCode"] == 200


def test_durations_are_read_from_the_report_line_of_lambda(demo):
    cold = "REPORT RequestId: x\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t"
    warm = cold.replace("Init Duration: 110.10 ms\t", "")
    assert [demo.milliseconds(line, what) for line in (cold, warm) for what in ("Duration", "Init Duration")] == [
        3.01,
        110.1,
        3.01,
        None,
    ]
