"""The table from our errors to AWS's: code, HTTP status, further members, per service.

An error is looked up by its class, then by the classes it derives from; at each step first among the service's own
rows, then among the rows of its protocol. What is in no row is a failure of ours and tells nothing.

Source: the service models' error shapes, the "Common Errors" pages of each API reference, and errors recorded on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leastwise.api.protocol import models, wire
from leastwise.api.protocol.wire import WireError
from leastwise.functions import interface as functions
from leastwise.iam import interface as iam
from leastwise.iam import organization
from leastwise.kernel import errors
from leastwise.logs import interface as logs
from leastwise.runtime import interface as runtime


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table.

    Args:
        code: on the wire.
        status: HTTP.
        sender_fault: False when the platform is to blame.
        message: said instead of the error's own message.
        retry_after_s: told in `Retry-After`.
    """

    code: str
    status: int
    sender_fault: bool = True
    message: str | None = None
    retry_after_s: int | None = None


_Rows = Mapping[type[Exception], _Row]

INTERNAL: Final = "An internal error occurred. Please retry later."
SEALED_DENIAL_HEADER: Final = "x-leastwise-authorization-message"
_MISSING: Final = "Missing Authentication Token"

_REST_JSON: Final[_Rows] = {
    iam.MissingProof: _Row("MissingAuthenticationTokenException", 403, message=_MISSING),
    iam.IncompleteSignature: _Row("IncompleteSignatureException", 403),
    iam.UnknownKey: _Row("UnrecognizedClientException", 403),
    iam.SignatureMismatch: _Row("InvalidSignatureException", 403),
    iam.ExpiredProof: _Row("InvalidSignatureException", 403),
    iam.ExpiredSession: _Row("ExpiredTokenException", 403),
    errors.Unauthenticated: _Row("UnrecognizedClientException", 403),
    errors.Denied: _Row("AccessDeniedException", 403),
    wire.Unparseable: _Row("SerializationException", 400),
    wire.UnknownOperation: _Row("UnknownOperationException", 404),
    wire.UnsupportedEncoding: _Row("UnsupportedMediaTypeException", 415),
    errors.Invalid: _Row("ValidationException", 400),
    errors.NotFound: _Row("ResourceNotFoundException", 404),
    errors.AlreadyExists: _Row("ResourceConflictException", 409),
    errors.Conflict: _Row("ResourceConflictException", 409),
    errors.Throttled: _Row("ThrottlingException", 429, retry_after_s=1),
    errors.TooLarge: _Row("RequestEntityTooLargeException", 413),
    errors.LimitExceeded: _Row("ServiceQuotaExceededException", 402),
    errors.Unavailable: _Row("ServiceUnavailableException", 503, sender_fault=False, message=INTERNAL),
    errors.NotImplementedHere: _Row("NotImplementedException", 501),
    Exception: _Row("InternalFailure", 500, sender_fault=False, message=INTERNAL),
}

_JSON: Final[_Rows] = {
    **_REST_JSON,
    iam.MissingProof: _Row("MissingAuthenticationTokenException", 400, message=_MISSING),
    iam.IncompleteSignature: _Row("IncompleteSignatureException", 400),
    iam.UnknownKey: _Row("UnrecognizedClientException", 400),
    iam.SignatureMismatch: _Row("InvalidSignatureException", 400),
    iam.ExpiredProof: _Row("InvalidSignatureException", 400),
    iam.ExpiredSession: _Row("ExpiredTokenException", 400),
    errors.Unauthenticated: _Row("UnrecognizedClientException", 400),
    errors.Denied: _Row("AccessDeniedException", 400),
    wire.UnknownOperation: _Row("UnknownOperationException", 400),
    errors.NotFound: _Row("ResourceNotFoundException", 400),
    errors.AlreadyExists: _Row("ResourceAlreadyExistsException", 400),
    errors.Conflict: _Row("ConflictException", 400),
    errors.Throttled: _Row("ThrottlingException", 400),
    errors.LimitExceeded: _Row("LimitExceededException", 400),
}

_QUERY: Final[_Rows] = {
    iam.MissingProof: _Row("MissingAuthenticationToken", 403, message="Request is missing Authentication Token"),
    iam.IncompleteSignature: _Row("IncompleteSignature", 400),
    iam.UnknownKey: _Row("InvalidClientTokenId", 403),
    iam.SignatureMismatch: _Row("SignatureDoesNotMatch", 403),
    iam.ExpiredProof: _Row("SignatureDoesNotMatch", 403),
    iam.ExpiredSession: _Row("ExpiredToken", 403),
    errors.Unauthenticated: _Row("InvalidClientTokenId", 403),
    errors.Denied: _Row("AccessDenied", 403),
    wire.Unparseable: _Row("MalformedInput", 400),
    wire.UnknownOperation: _Row("InvalidAction", 400),
    wire.MissingAction: _Row("MissingAction", 400),
    errors.Invalid: _Row("ValidationError", 400),
    errors.NotFound: _Row("ResourceNotFound", 404),
    errors.AlreadyExists: _Row("ResourceAlreadyExists", 409),
    errors.Conflict: _Row("Conflict", 409),
    errors.Throttled: _Row("Throttling", 400),
    errors.TooLarge: _Row("RequestEntityTooLarge", 413),
    errors.LimitExceeded: _Row("LimitExceeded", 409),
    errors.Unavailable: _Row("ServiceUnavailable", 503, sender_fault=False, message=INTERNAL),
    errors.NotImplementedHere: _Row("NotImplemented", 501),
    Exception: _Row("InternalFailure", 500, sender_fault=False, message=INTERNAL),
}

_PROTOCOLS: Final[Mapping[str, _Rows]] = {"rest-json": _REST_JSON, "json": _JSON, "query": _QUERY}

_ORGANIZATIONS: Final[_Rows] = {
    organization.OrganizationNotInUse: _Row("AWSOrganizationsNotInUseException", 400),
    organization.AlreadyInOrganization: _Row("AlreadyInOrganizationException", 400),
    organization.ConstraintViolation: _Row("ConstraintViolationException", 400),
    organization.InvalidOrganizationInput: _Row("InvalidInputException", 400),
    organization.MalformedGuardrail: _Row("MalformedPolicyDocumentException", 400),
    organization.AccountNotFound: _Row("AccountNotFoundException", 400),
    organization.AccountAlreadyClosed: _Row("AccountAlreadyClosedException", 400),
    organization.AccountInPlace: _Row("DuplicateAccountException", 400),
    organization.ChildNotFound: _Row("ChildNotFoundException", 400),
    organization.CreationNotFound: _Row("CreateAccountStatusNotFoundException", 400),
    organization.DestinationParentNotFound: _Row("DestinationParentNotFoundException", 400),
    organization.GuardrailAlreadyAttached: _Row("DuplicatePolicyAttachmentException", 400),
    organization.GuardrailExists: _Row("DuplicatePolicyException", 400),
    organization.GuardrailInUse: _Row("PolicyInUseException", 400),
    organization.GuardrailNotAttached: _Row("PolicyNotAttachedException", 400),
    organization.GuardrailNotFound: _Row("PolicyNotFoundException", 400),
    organization.GuardrailTypeEnabled: _Row("PolicyTypeAlreadyEnabledException", 400),
    organization.GuardrailTypeNotEnabled: _Row("PolicyTypeNotEnabledException", 400),
    organization.GuardrailTypeNotOffered: _Row("PolicyTypeNotAvailableForOrganizationException", 400),
    organization.ParentNotFound: _Row("ParentNotFoundException", 400),
    organization.RootNotFound: _Row("RootNotFoundException", 400),
    organization.SourceParentNotFound: _Row("SourceParentNotFoundException", 400),
    organization.TargetNotFound: _Row("TargetNotFoundException", 400),
    organization.UnitExists: _Row("DuplicateOrganizationalUnitException", 400),
    organization.UnitNotEmpty: _Row("OrganizationalUnitNotEmptyException", 400),
    organization.UnitNotFound: _Row("OrganizationalUnitNotFoundException", 400),
    wire.ShapeInvalid: _Row("InvalidInputException", 400),
    iam.InvalidInput: _Row("InvalidInputException", 400),
    errors.Conflict: _Row("ConcurrentModificationException", 400),
    errors.Throttled: _Row("TooManyRequestsException", 400),
    errors.Unavailable: _Row("ServiceException", 500, sender_fault=False, message=INTERNAL),
    Exception: _Row("ServiceException", 500, sender_fault=False, message=INTERNAL),
}

_SERVICES: Final[Mapping[str, _Rows]] = {
    "lambda": {
        wire.NotJson: _Row("InvalidRequestContentException", 400),
        wire.PayloadTooLarge: _Row("RequestTooLargeException", 413),
        functions.RevisionMismatch: _Row("PreconditionFailedException", 412),
        functions.InvalidParameter: _Row("InvalidParameterValueException", 400),
        functions.CodeStorageExceeded: _Row("CodeStorageExceededException", 400),
        functions.PolicyTooLong: _Row("PolicyLengthExceededException", 400),
        runtime.InvalidRequestContent: _Row("InvalidRequestContentException", 400),
        runtime.EventTooLarge: _Row("RequestTooLargeException", 413),
        runtime.ResponseTooLarge: _Row("RequestTooLargeException", 413),
        runtime.RuntimeMissing: _Row("InvalidRuntimeException", 502, sender_fault=False),
        errors.LimitExceeded: _Row("InvalidParameterValueException", 400),
        errors.Throttled: _Row("TooManyRequestsException", 429, retry_after_s=1),
        errors.Unavailable: _Row("ServiceException", 500, sender_fault=False, message=INTERNAL),
        Exception: _Row("ServiceException", 500, sender_fault=False, message=INTERNAL),
    },
    "iam": {
        iam.PolicyNotAttachable: _Row("PolicyNotAttachable", 400),
        iam.MalformedPolicy: _Row("MalformedPolicyDocument", 400),
        iam.InvalidInput: _Row("InvalidInput", 400),
        iam.DeleteConflict: _Row("DeleteConflict", 409),
        iam.PasswordPolicyViolation: _Row("PasswordPolicyViolation", 400),
        iam.InvalidUserType: _Row("InvalidUserType", 400),
        iam.EntityTemporarilyUnmodifiable: _Row("EntityTemporarilyUnmodifiable", 409),
        errors.NotFound: _Row("NoSuchEntity", 404),
        errors.AlreadyExists: _Row("EntityAlreadyExists", 409),
        errors.Conflict: _Row("ConcurrentModification", 409),
        errors.Unavailable: _Row("ServiceFailure", 500, sender_fault=False, message=INTERNAL),
        Exception: _Row("ServiceFailure", 500, sender_fault=False, message=INTERNAL),
    },
    "sts": {
        iam.MalformedPolicy: _Row("MalformedPolicyDocument", 400),
        iam.PackedPolicyTooLarge: _Row("PackedPolicyTooLarge", 400),
        iam.InvalidAuthorizationMessage: _Row("InvalidAuthorizationMessageException", 400),
    },
    "organizations": _ORGANIZATIONS,
    "logs": {
        logs.InvalidLogsParameter: _Row("InvalidParameterException", 400),
        wire.Unparseable: _Row("SerializationException", 400),
        errors.Invalid: _Row("InvalidParameterException", 400),
        errors.Conflict: _Row("OperationAbortedException", 400),
    },
}


def describe(error: Exception, service: str) -> WireError:
    """What AWS would say in this service.

    Args:
        error: anything that was raised.
        service: `lambda`, `iam`, ...; any other name speaks rest-json.

    Returns:
        the error for the wire. The message of an unexpected exception never gets in.
    """
    row = _row(type(error), service)
    message = row.message
    detail: Mapping[str, str] = {}
    # SECURITY: what an unexpected exception says (paths, SQL, secrets) is for the log; its row brings its own message.
    if isinstance(error, errors.LeastwiseError) and message != INTERNAL:
        detail = error.detail
        message = message or error.message
    headers: tuple[tuple[str, str], ...] = ()
    if row.retry_after_s is not None:
        headers = (("Retry-After", detail.get("retryAfterSeconds", str(row.retry_after_s))),)
        detail = {key: value for key, value in detail.items() if key != "retryAfterSeconds"}
    # AWS's sentence stays as it is: the reasons for DecodeAuthorizationMessage go beside it.
    if iam.SEALED_DENIAL in detail:
        headers = (*headers, (SEALED_DENIAL_HEADER, detail[iam.SEALED_DENIAL]))
        detail = {key: value for key, value in detail.items() if key != iam.SEALED_DENIAL}
    return WireError(
        code=row.code,
        status=row.status,
        message=message or INTERNAL,
        sender_fault=row.sender_fault,
        members=detail,
        headers=headers,
    )


def _row(kind: type[Exception], service: str) -> _Row:
    own = _SERVICES.get(service, {})
    common = _PROTOCOLS[_protocol_of(service)]
    for step in kind.__mro__:
        row = own.get(step) or common.get(step)
        if row is not None:
            return row
    return own.get(Exception) or common[Exception]


def _protocol_of(service: str) -> str:
    try:
        return models.service(service).protocol
    except errors.NotImplementedHere:
        return "rest-json"
