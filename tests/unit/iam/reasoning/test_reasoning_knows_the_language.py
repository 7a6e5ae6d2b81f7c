"""The encoder knows every part of the language. A new part must be encoded before these are changed."""

from dataclasses import fields

from leastwise.iam.interface import PrincipalKind
from leastwise.iam.policy.document import ConditionEntry, Statement
from leastwise.iam.policy.operators import Family, SetOperator
from leastwise.iam.policy.principals import PrincipalElement
from leastwise.iam.reasoning.principal import KINDS


def names(kind):
    return {field.name for field in fields(kind)}


def test_every_part_of_a_principal_element_is_encoded():
    assert {"everyone", "accounts", "arns", "unique_ids", "services"} == names(PrincipalElement)


def test_every_part_of_a_statement_is_encoded():
    assert {
        *("index", "sid", "allow", "principal", "not_principal", "actions", "not_action"),
        *("resources", "not_resource", "conditions"),
    } == names(Statement)
    assert {"set_operator", "operator", "if_exists", "key", "values"} == names(ConditionEntry)


def test_every_family_of_operators_is_encoded():
    assert {
        *("STRING", "STRING_IGNORE_CASE", "STRING_LIKE", "NUMERIC", "DATE"),
        *("BOOL", "BINARY", "IP", "ARN", "NULL"),
    } == {family.name for family in Family}
    assert {"FOR_ALL", "FOR_ANY"} == {operator.name for operator in SetOperator}


def test_every_kind_of_caller_is_encoded():
    assert set(PrincipalKind) == set(KINDS)
