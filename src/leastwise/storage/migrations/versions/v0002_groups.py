"""Groups and who is in them; revisions of what is changed by many; when roles were last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REVISED = ("users", "roles", "managed_policies")


def upgrade() -> None:
    for table in _REVISED:
        op.add_column(table, sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    op.add_column("roles", sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("roles", sa.Column("last_used_region", sa.String(length=64), nullable=True))
    _widen_owner_keys(sa.String(length=128))
    op.create_table(
        "groups",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name_key", name=op.f("pk_groups")),
        sa.UniqueConstraint("group_id", name=op.f("uq_groups_group_id")),
    )
    op.create_table(
        "group_members",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("group_key", sa.String(length=128), nullable=False),
        sa.Column("user_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "group_key", "user_key", name=op.f("pk_group_members")),
        sa.ForeignKeyConstraint(
            ["account_id", "group_key"],
            ["groups.account_id", "groups.name_key"],
            name=op.f("fk_group_members_account_id_group_key"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "user_key"],
            ["users.account_id", "users.name_key"],
            name=op.f("fk_group_members_account_id_user_key"),
            onupdate="CASCADE",
        ),
    )
    op.create_index(
        op.f("ix_group_members_account_id_user_key"), "group_members", ["account_id", "user_key"], unique=False
    )


def downgrade() -> None:
    op.drop_table("group_members")
    op.drop_table("groups")
    _widen_owner_keys(sa.String(length=64))
    op.drop_column("roles", "last_used_region")
    op.drop_column("roles", "last_used_at_ms")
    for table in _REVISED:
        op.drop_column(table, "revision")


def _widen_owner_keys(to: sa.String) -> None:
    """Names of groups are longer than those of users and roles."""
    for table in ("inline_policies", "policy_attachments"):
        with op.batch_alter_table(table) as batch:
            batch.alter_column("owner_key", type_=to, existing_nullable=False)
