"""When sessions were revoked, and the revision that tells other processes of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_epochs",
        sa.Column("unique_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unique_id", name=op.f("pk_session_epochs")),
    )
    op.create_index(op.f("ix_session_epochs_account_id"), "session_epochs", ["account_id"])
    op.create_table(
        "directory_revision",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_directory_revision")),
    )


def downgrade() -> None:
    op.drop_table("directory_revision")
    op.drop_index(op.f("ix_session_epochs_account_id"), table_name="session_epochs")
    op.drop_table("session_epochs")
