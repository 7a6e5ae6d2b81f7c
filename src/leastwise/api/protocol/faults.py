"""Errors on the wire, in the form of each protocol.

Source: Smithy 2.0, "Operation error serialization" of restJson1, awsJson1_1, awsQuery and awsQueryCompatible.
"""

from __future__ import annotations

from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from botocore.model import ServiceModel, Shape

from leastwise.api.protocol import json_body
from leastwise.api.protocol.query import XML_TYPE, XmlWriters, xml_text
from leastwise.api.protocol.rest_json import JSON_TYPE, header, text_writer
from leastwise.api.protocol.wire import HeaderList, WireError, WireResponse

_XML_SERVICES: Final = frozenset(
    {
        "autoscaling",
        "cloudformation",
        "cloudfront",
        "cloudsearch",
        "ec2",
        "elasticache",
        "elasticbeanstalk",
        "elasticloadbalancing",
        "email",
        "monitoring",
        "rds",
        "redshift",
        "route53",
        "s3",
        "sdb",
        "sns",
    }
)
"""Services whose clients expect XML, by their names in credential scopes."""


def unserved_response(signing_name: str, error: WireError, request_id: str) -> WireResponse:
    """An error for a client of a service that is not offered, whose model is not loaded. The code stands wherever the
    protocols look for it.

    Args:
        signing_name: the service of the credential scope.
        error: what to say.
        request_id: of the request.
    """
    if signing_name in _XML_SERVICES:
        return _xml_response(error, error.code, "", "", request_id)
    body = {"__type": error.code, "message": error.message}
    headers = [JSON_TYPE, header("x-amzn-errortype", error.code)]
    return WireResponse(status=error.status, headers=headers, body=json_body.encode(body))


class Faults:
    """Writes the errors of one service.

    Args:
        model: the service model.
        protocol: `rest-json`, `json` or `query`.
    """

    def __init__(self, model: ServiceModel, protocol: str) -> None:
        self._protocol = protocol
        self._namespace: str = model.metadata.get("xmlNamespace") or ""
        self._version = model.metadata.get("jsonVersion", "1.1")
        self._compatible = model.is_query_compatible
        self._shapes = {shape.error_code: shape for shape in model.error_shapes}
        self._shapes |= {shape.name: shape for shape in model.error_shapes}

    def response(self, error: WireError, request_id: str, *, query_mode: bool = False) -> WireResponse:
        """The error's response. The request id header is the app's to add.

        Args:
            error: what to say.
            request_id: stands inside query errors.
            query_mode: the client asked for former query codes (`x-amzn-query-mode: true`).
        """
        shape = self._shapes.get(error.code)
        if self._protocol == "query":
            return self._query(error, shape, request_id)
        return self._json(error, shape, query_mode=query_mode)

    def _json(self, error: WireError, shape: Shape | None, *, query_mode: bool) -> WireResponse:
        name = error.code if shape is None else shape.name
        message_member = "message"
        headers: HeaderList = []
        body: dict[str, Any] = {}
        values = dict(error.members)
        if shape is not None:
            message_member = next((m for m in shape.members if m.lower() == "message"), message_member)
            for member_name, member in shape.members.items():
                value = values.get(member_name)
                if value is None:
                    continue
                if member.serialization.get("location") == "header":
                    headers.append(header(member.serialization.get("name", member_name), text_writer(member)(value)))
                    del values[member_name]
            if "Type" in shape.members:
                values.setdefault("Type", "User" if error.sender_fault else "Service")
            values = {key: value for key, value in values.items() if key in shape.members}
        body[message_member] = error.message
        body.update(values)
        headers.extend(header(key, value) for key, value in error.headers)
        if self._protocol == "json":
            body = {"__type": name, **body}
            headers.append((b"content-type", f"application/x-amz-json-{self._version}".encode()))
        else:
            headers.append(JSON_TYPE)
        headers.append(header("x-amzn-errortype", name))
        if self._compatible and query_mode:
            code = name if shape is None else shape.error_code
            headers.append(header("x-amzn-query-error", f"{code};{'Sender' if error.sender_fault else 'Receiver'}"))
        return WireResponse(status=error.status, headers=headers, body=json_body.encode(body))

    def _query(self, error: WireError, shape: Shape | None, request_id: str) -> WireResponse:
        code = error.code if shape is None else shape.error_code
        out: list[str] = []
        if shape is not None:
            members = {name: value for name, value in error.members.items() if name in shape.members}
            for name, value in members.items():
                XmlWriters().writer(shape.members[name])(out, name, value)
        return _xml_response(error, code, self._namespace, "".join(out), request_id)


def _xml_response(error: WireError, code: str, namespace: str, members: str, request_id: str) -> WireResponse:
    opening = f"ErrorResponse xmlns={quoteattr(namespace)}" if namespace else "ErrorResponse"
    text = (
        f"<{opening}><Error><Type>{'Sender' if error.sender_fault else 'Receiver'}</Type>"
        f"<Code>{escape(code)}</Code><Message>{escape(xml_text(error.message))}</Message>{members}</Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    headers = [XML_TYPE, *(header(key, value) for key, value in error.headers)]
    return WireResponse(status=error.status, headers=headers, body=text.encode())
