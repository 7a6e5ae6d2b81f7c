"""Makes thumbnails: `{"image_base64": ..., "width": 320}` -> `{"image_base64": ..., "format": ..., ...}`.

Images come from strangers, and image decoders are large C programs. So: few formats, small inputs, dimensions judged
before a pixel is decoded, no metadata in what goes out, and errors that tell the caller what is wrong with the image
and nothing about this function.
"""

import base64
import binascii
import io
import json

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")
LARGEST_INPUT_BYTES = 4 * 1024 * 1024
LARGEST_PIXELS = 24_000_000
WIDEST = 2_000
JPEG_QUALITY = 85

# Pillow's own guard, as a second line: it raises at twice this number.
Image.MAX_IMAGE_PIXELS = LARGEST_PIXELS // 2


class Refused(Exception):
    """The caller's fault. `code` is for programs, the message for people; both are safe to return."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def handler(event, context):
    """The entry point. A refused image is a result, not a failure: trying it again would not help."""
    try:
        content, width = read_event(event)
        result = thumbnail(content, width)
    except Refused as refusal:
        log(context, "refused", code=refusal.code)
        return {"error": refusal.code, "message": str(refusal)}
    log(context, "made", format=result["format"], width=result["width"], height=result["height"])
    return result


def read_event(event) -> tuple[bytes, int]:
    """The image's bytes and the wanted width, checked."""
    if not isinstance(event, dict):
        raise Refused("bad_event", "the event must be an object")
    encoded, width = event.get("image_base64"), event.get("width", 320)
    if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= WIDEST:
        raise Refused("bad_width", f"width must be a whole number from 1 to {WIDEST}")
    if not isinstance(encoded, str):
        raise Refused("bad_image", "image_base64 must be a string")
    if len(encoded) > LARGEST_INPUT_BYTES * 4 // 3 + 4:
        raise Refused("too_large", f"the image must not have more than {LARGEST_INPUT_BYTES} bytes")
    try:
        return base64.b64decode(encoded, validate=True), width
    except binascii.Error:
        raise Refused("bad_image", "image_base64 is not base64") from None


def thumbnail(content: bytes, width: int) -> dict:
    """The image no wider than `width`, upright, without metadata. PNG when it is transparent, JPEG otherwise."""
    try:
        # An allow-list: Pillow would also try decoders that nobody here needs, one of which starts another program.
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            # A few kilobytes can claim to be gigapixels. Opening reads the header only, so this costs nothing.
            if image.width * image.height > LARGEST_PIXELS:
                raise Refused("too_many_pixels", f"the image must not have more than {LARGEST_PIXELS} pixels")
            image.draft("RGB", (width * 2, width * 2 * image.height // max(1, image.width) + 1))
            upright = ImageOps.exif_transpose(image)
            transparent = upright.has_transparency_data
            small = upright.convert("RGBA" if transparent else "RGB")
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file can make a decoder raise anything
        print(json.dumps({"message": "cannot decode", "reason": type(error).__name__}))
        raise Refused("bad_image", f"not a readable image; {', '.join(FORMATS)} are supported") from None

    if small.width > width:
        small = small.resize((width, max(1, round(small.height * width / small.width))), Image.Resampling.LANCZOS)
    # Position, camera and comments stay out of the result; some of them would be written again by themselves.
    small.info.clear()
    out, kind = io.BytesIO(), "PNG" if transparent else "JPEG"
    small.save(out, kind, **({"optimize": True} if transparent else {"quality": JPEG_QUALITY}))
    return {
        "image_base64": base64.b64encode(out.getvalue()).decode(),
        "format": kind,
        "width": small.width,
        "height": small.height,
    }


def log(context, message: str, **fields) -> None:
    """One line of JSON. Never the image, never the event."""
    print(json.dumps({"message": message, "request_id": getattr(context, "aws_request_id", None), **fields}))
