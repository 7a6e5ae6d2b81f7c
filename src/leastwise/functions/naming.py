"""Function names in all the forms that Lambda takes.

    name                                         name:$LATEST
    123456789012:function:name                   123456789012:function:name:$LATEST
    arn:aws:lambda:us-east-1:123456789012:function:name        ...:name:$LATEST

Source: Lambda API Reference, FunctionName of Invoke.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from leastwise.functions.interface import Function, FunctionNotFound, InvalidParameter
from leastwise.kernel import errors

LATEST: Final = "$LATEST"
_LONGEST_NAME: Final = 64
_PATTERN: Final = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
_FORM: Final = re.compile(
    r"(?P<arn>arn:aws[a-zA-Z-]*:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-[0-9]):)?"
    r"(?:(?P<account>[0-9]{12}):)?"
    r"(?P<kind>function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionName:
    """Which function is meant, and which version of it.

    Args:
        qualifier: `$LATEST`, a version or an alias; None when none was given.
    """

    account_id: str
    region: str
    name: str
    qualifier: str | None = None

    @property
    def arn(self) -> str:
        """Without the qualifier."""
        return function_arn(account_id=self.account_id, region=self.region, name=self.name)

    @property
    def qualified_arn(self) -> str:
        """With the qualifier, if one was given: what AWS names in its errors."""
        return self.arn if self.qualifier is None else f"{self.arn}:{self.qualifier}"

    def check(self, function: Function | None) -> Function:
        """The function that this name means, if there is one. Versions and aliases are not there yet.

        Raises:
            FunctionNotFound: nothing has this name in this region, or the qualifier is not `$LATEST`.
        """
        if function is None or function.region != self.region or self.qualifier not in {None, LATEST}:
            raise self.not_found()
        return function

    def not_found(self) -> FunctionNotFound:
        """The error for a function, version or alias that is not there."""
        return FunctionNotFound(f"Function not found: {self.qualified_arn}", detail={"Type": "User"})


def function_arn(*, account_id: str, region: str, name: str) -> str:
    """The unqualified ARN."""
    return f"arn:aws:lambda:{region}:{account_id}:function:{name}"


@lru_cache(maxsize=4096)
def parse_function_name(text: str, *, account_id: str, region: str, qualifier: str | None = None) -> FunctionName:
    """Understands a function name. Says nothing of whether it exists.

    Args:
        text: in any of the forms.
        account_id: the caller's account, meant when the text names none.
        region: the region that was called.
        qualifier: the separate Qualifier of the call, None when it has none.

    Raises:
        errors.Invalid: none of the forms.
        InvalidParameter: a name of more than 64 characters; two qualifiers that differ.
        FunctionNotFound: another region's function.
    """
    form = _FORM.fullmatch(text)
    # An ARN names everything; half an ARN is none.
    if form is None or (form["arn"] and not (form["region"] and form["account"] and form["kind"])):
        message = (
            f"1 validation error detected: Value '{text[:256]}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_PATTERN}"
        )
        raise errors.Invalid(message)
    name = form["name"]
    if len(name) > _LONGEST_NAME:
        message = (
            f"1 validation error detected: Value '{name[:256]}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_LONGEST_NAME}"
        )
        raise InvalidParameter(message, detail={"Type": "User"})
    if form["region"] and form["region"] != region:
        message = f"Functions from '{form['region']}' are not reachable in this region ('{region}')"
        raise FunctionNotFound(message, detail={"Type": "User"})
    within = form["qualifier"]
    if within and qualifier and within != qualifier:
        message = "The derived qualifier from the function name does not match the specified qualifier."
        raise InvalidParameter(message, detail={"Type": "User"})
    return FunctionName(
        account_id=form["account"] or account_id, region=region, name=name, qualifier=qualifier or within or None
    )
