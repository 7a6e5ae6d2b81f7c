"""The organization: its units, accounts and guardrails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "organizations",
        sa.Column(
            "only",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="1: an installation has one organization",
        ),
        sa.Column("organization_id", sa.String(length=34), nullable=False),
        sa.Column("root_id", sa.String(length=34), nullable=False),
        sa.Column("management_account_id", sa.String(length=12), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.String(length=256), nullable=False, comment="policy types, separated by blanks"),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_organizations")),
    )
    op.create_table(
        "organizational_units",
        sa.Column("unit_id", sa.String(length=68), nullable=False),
        sa.Column("parent_id", sa.String(length=68), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("unit_id", name=op.f("pk_organizational_units")),
        sa.UniqueConstraint("parent_id", "name", name=op.f("uq_organizational_units_parent_id_name")),
    )
    op.create_table(
        "organization_members",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=64), nullable=False),
        sa.Column("email_key", sa.String(length=64), nullable=False, comment="lower case"),
        sa.Column("parent_id", sa.String(length=68), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("invited", sa.Boolean(), nullable=False),
        sa.Column("joined_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_organization_members")),
        sa.UniqueConstraint("email_key", name=op.f("uq_organization_members_email_key")),
    )
    _make_guardrails()
    op.create_table(
        "account_creations",
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=True, comment="null when it failed"),
        sa.Column("failure", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_account_creations")),
    )


def _make_guardrails() -> None:
    op.create_table(
        "guardrails",
        sa.Column("policy_id", sa.String(length=130), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=512), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("policy_id", name=op.f("pk_guardrails")),
        sa.UniqueConstraint("type", "name", name=op.f("uq_guardrails_type_name")),
    )
    op.create_table(
        "guardrail_attachments",
        sa.Column("policy_id", sa.String(length=130), nullable=False),
        sa.Column("target_id", sa.String(length=68), nullable=False),
        sa.PrimaryKeyConstraint("policy_id", "target_id", name=op.f("pk_guardrail_attachments")),
    )
    op.create_table(
        "organization_tags",
        sa.Column("resource_id", sa.String(length=130), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_organization_tags")),
    )


def downgrade() -> None:
    """Takes them away."""
    op.drop_table("organization_tags")
    op.drop_table("guardrail_attachments")
    op.drop_table("guardrails")
    op.drop_table("account_creations")
    op.drop_table("organization_members")
    op.drop_table("organizational_units")
    op.drop_table("organizations")
