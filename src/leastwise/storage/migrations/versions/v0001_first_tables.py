"""The first tables: identities and policies, functions and their queue, usage, the trail's outbox and heads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_identities()
    _make_functions()
    _make_usage()
    _make_audit()


def downgrade() -> None:
    op.drop_table("policy_versions")
    op.drop_table("policy_attachments")
    op.drop_table("users")
    op.drop_table("usage_totals")
    op.drop_table("usage_positions")
    op.drop_table("roles")
    op.drop_table("queued_events")
    op.drop_table("managed_policies")
    op.drop_table("inline_policies")
    op.drop_table("functions")
    op.drop_table("audit_outbox")
    op.drop_table("audit_heads")
    op.drop_table("accounts")
    op.drop_table("access_keys")


def _make_identities() -> None:
    op.create_table(
        "access_keys",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=True, comment="null: the root user"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_service", sa.String(length=64), nullable=True),
        sa.Column("last_used_region", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("access_key_id", name=op.f("pk_access_keys")),
    )
    op.create_index(
        op.f("ix_access_keys_account_id_user_name"), "access_keys", ["account_id", "user_name"], unique=False
    )
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "inline_policies",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("owner_kind", sa.String(length=8), nullable=False),
        sa.Column("owner_key", sa.String(length=64), nullable=False, comment="the owner's name in lower case"),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "owner_kind", "owner_key", "name", name=op.f("pk_inline_policies")),
    )
    op.create_table(
        "managed_policies",
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False, comment="'aws' for the built-in ones"),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("policy_id", sa.String(length=32), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False, comment="highest version number ever used"),
        sa.PrimaryKeyConstraint("arn", name=op.f("pk_managed_policies")),
        sa.UniqueConstraint("account_id", "name_key", name=op.f("uq_managed_policies_account_id_name_key")),
        sa.UniqueConstraint("policy_id", name=op.f("uq_managed_policies_policy_id")),
    )
    op.create_table(
        "roles",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("role_id", sa.String(length=32), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("trust_policy", sa.Text(), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.Column("max_session_s", sa.Integer(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("boundary_arn", sa.String(length=2048), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "name_key", name=op.f("pk_roles")),
        sa.UniqueConstraint("role_id", name=op.f("uq_roles_role_id")),
    )
    op.create_table(
        "users",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column(
            "name_key", sa.String(length=64), nullable=False, comment="lower case: names are unique regardless of case"
        ),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("boundary_arn", sa.String(length=2048), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "name_key", name=op.f("pk_users")),
        sa.UniqueConstraint("user_id", name=op.f("uq_users_user_id")),
    )
    op.create_table(
        "policy_attachments",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("owner_kind", sa.String(length=8), nullable=False),
        sa.Column("owner_key", sa.String(length=64), nullable=False),
        sa.Column("policy_arn", sa.String(length=2048), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_arn"], ["managed_policies.arn"], name=op.f("fk_policy_attachments_policy_arn")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "owner_kind", "owner_key", "policy_arn", name=op.f("pk_policy_attachments")
        ),
    )
    op.create_index(op.f("ix_policy_attachments_policy_arn"), "policy_attachments", ["policy_arn"], unique=False)
    op.create_table(
        "policy_versions",
        sa.Column("policy_arn", sa.String(length=2048), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="3 of v3"),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_arn"], ["managed_policies.arn"], name=op.f("fk_policy_versions_policy_arn"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("policy_arn", "number", name=op.f("pk_policy_versions")),
    )


def _make_functions() -> None:
    op.create_table(
        "functions",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("revision_id", sa.String(length=36), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("sealed_environment", sa.LargeBinary(), nullable=True, comment="AES-GCM; null when there is none"),
        sa.Column("body", sa.Text(), nullable=False, comment="the rest of the configuration as JSON"),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_functions")),
    )
    op.create_index(op.f("ix_functions_code_digest"), "functions", ["code_digest"], unique=False)
    op.create_table(
        "queued_events",
        sa.Column("row_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("function_name", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column(
            "body", sa.LargeBinary(), nullable=False, comment="msgpack: payload, caller, attempts and first refusal"
        ),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_queued_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_queued_events_due_at_ms"), "queued_events", ["due_at_ms"], unique=False)


def _make_usage() -> None:
    op.create_table(
        "usage_positions",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("counted_up_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_usage_positions")),
    )
    op.create_table(
        "usage_totals",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("function_arn", sa.String(length=256), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("billed_ms", sa.BigInteger(), nullable=False),
        sa.Column("mib_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "function_arn", "day", name=op.f("pk_usage_totals")),
    )


def _make_audit() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "audit_outbox",
        sa.Column("row_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_audit_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_audit_outbox_event_id")),
        sqlite_autoincrement=True,
    )
