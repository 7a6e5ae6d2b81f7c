"""What policies speak of: the condition keys they read, the services they allow anything of."""

from __future__ import annotations

from collections.abc import Iterable

from leastwise.iam.policy.document import PolicyDocument, Statement
from leastwise.iam.policy.variables import keys_of, parse_pattern


def mentioned_keys(policies: Iterable[PolicyDocument]) -> tuple[str, ...]:
    """Keys of conditions and of variables, each once whatever its case, sorted.

    Args:
        policies: parsed.

    Returns:
        keys of conditions as they are written, keys of variables in lower case.
    """
    written: dict[str, str] = {}
    for policy in policies:
        for statement in policy.statements:
            texts = list(statement.resources or ())
            for entry in statement.conditions:
                written.setdefault(entry.key.lower(), entry.key)
                texts.extend(entry.values)
            if policy.has_variables:
                for text in texts:
                    for key in keys_of(parse_pattern(text, variables=True, wildcards=True)):
                        written.setdefault(key, key)
    return tuple(written[key] for key in sorted(written))


def allows_service(policy: PolicyDocument, service: str) -> bool:
    """Whether a statement allows any action of the service, on whatever resource and condition.

    Args:
        policy: parsed.
        service: its prefix in actions, `lambda`.
    """
    return any(statement.allow and _speaks_of(statement, service.lower()) for statement in policy.statements)


def _speaks_of(statement: Statement, service: str) -> bool:
    # The grammar has no wildcards in the service of an action.
    if statement.not_action:
        # All but some: anything is left unless the service is left out whole.
        return not any(action.lower() in {"*", f"{service}:*"} for action in statement.actions)
    return any(action.partition(":")[0].lower() in {"*", service} for action in statement.actions)
