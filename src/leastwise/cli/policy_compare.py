"""`leastwise policy diff`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.policy_documents import Kind, kind_of, open_policy

if TYPE_CHECKING:
    from leastwise.iam.interface import PolicyKind

DIFFERENT: Final = 1


@with_options
def diff(
    _options: Options,
    printer: Printer,
    old: Annotated[str, typer.Argument(help="The policy as it was, JSON or YAML; - is standard input.")],
    new: Annotated[str, typer.Argument(help="The policy as it will be.")],
    *,
    kind: Annotated[Kind | None, typer.Option("--kind", help="What the policies are used as.")] = None,
    no_new_access: Annotated[
        bool,
        typer.Option("--no-new-access", help="Exit code 1 only if the new policy may allow what the old one does not."),
    ] = False,
) -> None:
    """Compares two versions of a policy by what they mean. Exit code 1 if they differ."""
    from leastwise.iam.authoring.differences import compare  # noqa: PLC0415
    from leastwise.iam.interface import MalformedPolicy  # noqa: PLC0415 - a quick start matters more

    documents = [open_policy(name).document() for name in (old, new)]
    used_as = kind_of(documents[1], kind)
    try:
        changes = compare(documents[0], documents[1], kind=used_as)
        verdict, examples = new_access(documents[0], documents[1], used_as)
    except MalformedPolicy as error:
        raise CommandError(error.message) from error
    if printer.as_json:
        value = {
            "Changes": [
                {
                    "Change": change.change.value,
                    "Statement": change.name,
                    "Effect": change.effect,
                    "OldIndex": change.old_index,
                    "NewIndex": change.new_index,
                    "Grew": list(change.grew),
                    "Shrank": list(change.shrank),
                }
                for change in changes
            ],
            "NewAccess": verdict,
            "Examples": examples,
        }
        printer.json(value)
    else:
        for change in changes:
            printer.text(f"{change.effect} {change.name}: {change.change.value}")
            for line in change.grew:
                printer.text(f"  + {line}")
            for line in change.shrank:
                printer.text(f"  - {line}")
        printer.text(_SENTENCES[verdict] if changes else "no difference")
        for example in examples:
            printer.text(f"  {example}")
    # INVARIANT: what could not be decided counts as new access.
    if (verdict != "none") if no_new_access else changes:
        raise typer.Exit(DIFFERENT)


_SENTENCES: Final = {
    "none": "allows nothing new",
    "some": "newly allows, for example:",
    "unknown": "whether it allows something new could not be decided",
}


def new_access(old: Mapping[str, Any], new: Mapping[str, Any], kind: PolicyKind) -> tuple[str, list[str]]:
    """Asks the solver whether the new policy allows a request that the old one does not.

    Returns:
        `none`, `some` or `unknown`; and requests that are newly allowed.
    """
    from leastwise.iam.reasoning import questions  # noqa: PLC0415 - a quick start matters more
    from leastwise.iam.reasoning.solving import Cvc5Session  # noqa: PLC0415
    from leastwise.iam.reasoning.verdicts import Outcome  # noqa: PLC0415

    texts = [json.dumps(document, ensure_ascii=False) for document in (old, new)]
    verdict = questions.new_access(texts[:1], texts[1:], kind=kind, solver=Cvc5Session())
    name = {Outcome.PROVED: "none", Outcome.REFUTED: "some"}.get(verdict.outcome, "unknown")
    return name, [example.sentence() for example in verdict.counterexamples]
