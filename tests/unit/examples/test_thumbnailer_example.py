"""The thumbnailer: real images, and images made to do harm."""

import base64
import io
import json
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo


@pytest.fixture
def thumbnailer(load):
    return load("thumbnailer")


def encoded(image: Image.Image, kind: str, **options) -> str:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return base64.b64encode(out.getvalue()).decode()


def decoded(result: dict) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(result["image_base64"])))


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_comes_back_as_wide_as_was_asked(thumbnailer, kind):
    image = Image.new("RGB", (640, 480), (200, 30, 30))
    result = thumbnailer.handler({"image_base64": encoded(image, kind), "width": 160}, None)
    assert (result["format"], decoded(result).size) == ("JPEG", (160, 120))
    red, green, blue = decoded(result).getpixel((80, 60))
    assert max(abs(red - 200), abs(green - 30), abs(blue - 30)) < 10


def test_an_image_is_never_made_larger(thumbnailer):
    result = thumbnailer.handler({"image_base64": encoded(Image.new("RGB", (20, 10)), "PNG"), "width": 100}, None)
    assert (result["width"], result["height"]) == (20, 10)


@pytest.mark.parametrize("size", [(4000, 1), (1, 4000)])
def test_a_very_flat_or_narrow_image_keeps_at_least_one_pixel(thumbnailer, size):
    result = thumbnailer.handler({"image_base64": encoded(Image.new("RGB", size), "PNG"), "width": 10}, None)
    assert min(result["width"], result["height"]) >= 1


def test_transparency_survives(thumbnailer):
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    result = thumbnailer.handler({"image_base64": encoded(image, "PNG"), "width": 32}, None)
    assert (result["format"], decoded(result).getpixel((16, 16))[3]) == ("PNG", 0)


def test_a_photo_taken_sideways_is_turned_upright(thumbnailer):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (80, 40))
    result = thumbnailer.handler({"image_base64": encoded(image, "JPEG", exif=exif), "width": 80}, None)
    assert (result["width"], result["height"]) == (40, 80)


def test_no_metadata_goes_out(thumbnailer):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8825)[1] = "N"
    text = PngInfo()
    text.add_text("Author", "somebody")
    image = Image.new("RGB", (80, 40))
    inputs = [
        encoded(image, "JPEG", exif=exif, comment=b"made at home", icc_profile=b"x" * 200),
        encoded(image.convert("RGBA"), "PNG", exif=exif, pnginfo=text, icc_profile=b"x" * 200),
    ]
    for content in inputs:
        made = decoded(thumbnailer.handler({"image_base64": content, "width": 20}, None))
        made.load()
        assert dict(made.getexif()) == {}
        assert {"exif", "comment", "icc_profile", "Author"}.isdisjoint(made.info)


@pytest.mark.parametrize("size", [(50_000, 50_000), (24_000_001, 1), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(thumbnailer, size):
    bomb = base64.b64encode(png_that_claims(*size)).decode()
    assert thumbnailer.handler({"image_base64": bomb, "width": 10}, None)["error"] in {"too_many_pixels", "bad_image"}


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "EPS"])
def test_formats_that_are_not_on_the_list_are_refused(thumbnailer, kind):
    content = encoded(Image.new("RGB", (10, 10)), kind)
    assert thumbnailer.handler({"image_base64": content}, None)["error"] == "bad_image"


def test_a_truncated_image_is_refused(thumbnailer):
    whole = base64.b64decode(encoded(Image.effect_noise((200, 200), 50), "PNG"))
    for length in (0, 1, 8, 40, len(whole) // 2):
        cut = base64.b64encode(whole[:length]).decode()
        assert thumbnailer.handler({"image_base64": cut}, None)["error"] == "bad_image"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (None, "bad_event"),
        ([], "bad_event"),
        ({}, "bad_image"),
        ({"image_base64": 5}, "bad_image"),
        ({"image_base64": "*"}, "bad_image"),
        ({"image_base64": "AAAA"}, "bad_image"),
        ({"image_base64": "AAAA", "width": 0}, "bad_width"),
        ({"image_base64": "AAAA", "width": 2001}, "bad_width"),
        ({"image_base64": "AAAA", "width": True}, "bad_width"),
        ({"image_base64": "AAAA", "width": "10"}, "bad_width"),
        ({"image_base64": "A" * 6_000_000}, "too_large"),
    ],
)
def test_a_bad_event_is_answered_with_what_is_wrong(thumbnailer, event, code):
    assert code == thumbnailer.handler(event, None)["error"]


def test_what_a_decoder_says_is_not_returned(thumbnailer, capsys):
    answer = thumbnailer.handler({"image_base64": base64.b64encode(b"GIF89a" + b"\0" * 50).decode()}, None)
    assert {"error", "message"} == set(answer)
    assert answer["message"] == "not a readable image; JPEG, PNG, WEBP are supported"
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())
