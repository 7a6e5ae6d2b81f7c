"""The table from our errors to AWS's."""

import pytest
from botocore.loaders import Loader

from leastwise.api.errors import INTERNAL, describe
from leastwise.api.protocol import wire
from leastwise.functions import interface as functions
from leastwise.iam import interface as iam
from leastwise.kernel import errors
from leastwise.logs import interface as logs
from leastwise.runtime import interface as runtime

COMMON = {
    # "Common Errors" of the API references: every operation can give them without declaring them.
    "AccessDeniedException",
    "ValidationException",
    "SerializationException",
    "UnrecognizedClientException",
    "UnknownOperationException",
    "RequestEntityTooLargeException",
    "NotImplementedException",
    "UnsupportedMediaTypeException",
}


@pytest.mark.parametrize(
    ("service", "error", "code", "status"),
    [
        ("lambda", functions.FunctionNotFound("m"), "ResourceNotFoundException", 404),
        ("lambda", functions.FunctionAlreadyExists("m"), "ResourceConflictException", 409),
        ("lambda", functions.StatementExists("m"), "ResourceConflictException", 409),
        ("lambda", functions.UpdateInProgress("m"), "ResourceConflictException", 409),
        ("lambda", functions.RevisionMismatch("m"), "PreconditionFailedException", 412),
        ("lambda", functions.InvalidParameter("m"), "InvalidParameterValueException", 400),
        ("lambda", functions.InvalidPackage("m"), "InvalidParameterValueException", 400),
        ("lambda", functions.PackageTooLarge("m"), "RequestEntityTooLargeException", 413),
        ("lambda", functions.CodeStorageExceeded("m"), "CodeStorageExceededException", 400),
        ("lambda", functions.PolicyTooLong("m"), "PolicyLengthExceededException", 400),
        ("lambda", runtime.Throttle("m"), "TooManyRequestsException", 429),
        ("lambda", runtime.InvalidRequestContent("m"), "InvalidRequestContentException", 400),
        ("lambda", runtime.EventTooLarge("m"), "RequestTooLargeException", 413),
        ("lambda", runtime.RuntimeMissing("m"), "InvalidRuntimeException", 502),
        ("lambda", errors.Denied("m"), "AccessDeniedException", 403),
        ("lambda", errors.Invalid("m"), "ValidationException", 400),
        ("lambda", errors.Unavailable("m"), "ServiceException", 500),
        ("lambda", iam.MissingProof("m"), "MissingAuthenticationTokenException", 403),
        ("lambda", iam.IncompleteSignature("m"), "IncompleteSignatureException", 403),
        ("lambda", iam.UnknownKey("m"), "UnrecognizedClientException", 403),
        ("lambda", iam.SignatureMismatch("m"), "InvalidSignatureException", 403),
        ("lambda", iam.ExpiredProof("m"), "InvalidSignatureException", 403),
        ("lambda", iam.ExpiredSession("m"), "ExpiredTokenException", 403),
        ("lambda", wire.NotJson("m"), "InvalidRequestContentException", 400),
        ("lambda", wire.Unparseable("m"), "SerializationException", 400),
        ("iam", iam.NoSuchEntity("m"), "NoSuchEntity", 404),
        ("iam", iam.EntityAlreadyExists("m"), "EntityAlreadyExists", 409),
        ("iam", iam.DeleteConflict("m"), "DeleteConflict", 409),
        ("iam", iam.MalformedPolicy("m"), "MalformedPolicyDocument", 400),
        ("iam", iam.PolicyNotAttachable("m"), "PolicyNotAttachable", 400),
        ("iam", iam.InvalidInput("m"), "InvalidInput", 400),
        ("iam", errors.LimitExceeded("m"), "LimitExceeded", 409),
        ("iam", errors.Denied("m"), "AccessDenied", 403),
        ("iam", errors.Invalid("m"), "ValidationError", 400),
        ("iam", iam.MissingProof("m"), "MissingAuthenticationToken", 403),
        ("iam", iam.IncompleteSignature("m"), "IncompleteSignature", 400),
        ("iam", iam.UnknownKey("m"), "InvalidClientTokenId", 403),
        ("iam", iam.SignatureMismatch("m"), "SignatureDoesNotMatch", 403),
        ("iam", iam.ExpiredProof("m"), "SignatureDoesNotMatch", 403),
        ("iam", iam.ExpiredSession("m"), "ExpiredToken", 403),
        ("iam", errors.NotImplementedHere("m"), "NotImplemented", 501),
        ("sts", iam.PackedPolicyTooLarge("m"), "PackedPolicyTooLarge", 400),
        ("sts", iam.MalformedPolicy("m"), "MalformedPolicyDocument", 400),
        ("sts", errors.Denied("m"), "AccessDenied", 403),
        ("logs", logs.LogGroupNotFound(), "ResourceNotFoundException", 400),
        ("logs", logs.LogGroupExists(), "ResourceAlreadyExistsException", 400),
        ("logs", logs.InvalidLogsParameter("m"), "InvalidParameterException", 400),
        ("logs", wire.ShapeInvalid("m"), "InvalidParameterException", 400),
        ("logs", errors.Denied("m"), "AccessDeniedException", 400),
        ("logs", iam.UnknownKey("m"), "UnrecognizedClientException", 400),
        ("leastwise", errors.Denied("m"), "AccessDeniedException", 403),
        ("nowhere", errors.NotImplementedHere("m"), "NotImplementedException", 501),
    ],
)
def test_each_error_has_its_code_and_status(service, error, code, status):
    told = describe(error, service)
    assert (code, status) == (told.code, told.status)
    assert (500 > status) == told.sender_fault or isinstance(error, (errors.NotImplementedHere, runtime.RuntimeMissing))


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("lambda", "ServiceException"),
        ("iam", "ServiceFailure"),
        ("sts", "InternalFailure"),
        ("logs", "InternalFailure"),
    ],
)
@pytest.mark.parametrize(
    "error", [ValueError("/etc/secret"), errors.Bug("/etc/secret"), errors.LeastwiseError("/etc/secret")]
)
def test_a_failure_of_ours_tells_nothing(service, code, error):
    told = describe(error, service)
    assert (code, 500, INTERNAL, False, {}) == (told.code, told.status, told.message, told.sender_fault, told.members)


def test_an_error_nobody_listed_falls_back_to_its_kind():
    class Unheard(functions.InvalidParameter):
        pass

    assert "InvalidParameterValueException" == describe(Unheard("m"), "lambda").code
    assert "ValidationError" == describe(Unheard("m"), "iam").code


def test_a_throttle_says_when_to_come_back():
    assert (("Retry-After", "1"),) == describe(runtime.Throttle("m"), "lambda").headers
    later = runtime.Throttle("m", detail={"retryAfterSeconds": "7", "Reason": "r"})
    assert ((("Retry-After", "7"),), {"Reason": "r"}) == (
        describe(later, "lambda").headers,
        describe(later, "lambda").members,
    )


def test_every_lambda_code_of_the_table_is_declared_or_common():
    shapes = Loader().load_service_model("lambda", "service-2")["shapes"]
    declared = {name for name, shape in shapes.items() if shape.get("exception")}
    for error in (
        functions.FunctionNotFound, functions.FunctionAlreadyExists, functions.RevisionMismatch, functions.InvalidParameter,
        functions.CodeStorageExceeded, functions.PolicyTooLong, runtime.Throttle, runtime.InvalidRequestContent,
        runtime.EventTooLarge, runtime.RuntimeMissing, errors.Unavailable, errors.Denied, errors.Invalid, wire.Unparseable,
        errors.NotImplementedHere, errors.TooLarge,
    ):  # fmt: skip
        assert describe(error("m"), "lambda").code in declared | COMMON


@pytest.mark.parametrize("service", ["lambda", "iam", "sts", "logs", "nonsense"])
def test_what_the_platform_lacks_is_told_to_its_log_and_not_to_callers(service):
    told = describe(errors.Unavailable("the fork server did not start: /secret/path"), service)
    assert "An internal error occurred. Please retry later." == told.message
    assert not told.sender_fault
