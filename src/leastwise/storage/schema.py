"""Every table. A change here needs a migration in `migrations/versions/`.

Instants are epoch milliseconds. JSON texts are kept as they were given, so that what is read is what was written.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import BigInteger

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("created_at_ms", BigInteger, nullable=False),
)

users: Final = Table(
    "users",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("name_key", String(64), primary_key=True, comment="lower case: names are unique regardless of case"),
    Column("name", String(64), nullable=False),
    Column("path", String(512), nullable=False),
    Column("user_id", String(32), nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("tags", Text, nullable=False),
    Column("boundary_arn", String(2048)),
)

access_keys: Final = Table(
    "access_keys",
    metadata,
    Column("access_key_id", String(128), primary_key=True),
    Column("account_id", String(12), nullable=False),
    Column("user_name", String(64), comment="null: the root user"),
    Column("active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("last_used_at_ms", BigInteger),
    Column("last_used_service", String(64)),
    Column("last_used_region", String(64)),
    Index(None, "account_id", "user_name"),
)

roles: Final = Table(
    "roles",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("name_key", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("path", String(512), nullable=False),
    Column("role_id", String(32), nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("trust_policy", Text, nullable=False),
    Column("description", String(1000), nullable=False),
    Column("max_session_s", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    Column("boundary_arn", String(2048)),
)

inline_policies: Final = Table(
    "inline_policies",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("owner_kind", String(8), primary_key=True),
    Column("owner_key", String(64), primary_key=True, comment="the owner's name in lower case"),
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)

managed_policies: Final = Table(
    "managed_policies",
    metadata,
    Column("arn", String(2048), primary_key=True),
    Column("account_id", String(12), nullable=False, comment="'aws' for the built-in ones"),
    Column("name_key", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("policy_id", String(32), nullable=False, unique=True),
    Column("description", String(1000), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("tags", Text, nullable=False),
    Column("last_version", Integer, nullable=False, comment="highest version number ever used"),
    UniqueConstraint("account_id", "name_key"),
)

policy_versions: Final = Table(
    "policy_versions",
    metadata,
    Column("policy_arn", String(2048), primary_key=True),
    Column("number", Integer, primary_key=True, comment="3 of v3"),
    Column("document", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    ForeignKeyConstraint(["policy_arn"], ["managed_policies.arn"], ondelete="CASCADE"),
)

policy_attachments: Final = Table(
    "policy_attachments",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("owner_kind", String(8), primary_key=True),
    Column("owner_key", String(64), primary_key=True),
    Column("policy_arn", String(2048), primary_key=True),
    ForeignKeyConstraint(["policy_arn"], ["managed_policies.arn"]),
    Index(None, "policy_arn"),
)

functions: Final = Table(
    "functions",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision_id", String(36), nullable=False),
    Column("code_digest", String(64), nullable=False, index=True),
    Column("sealed_environment", LargeBinary, comment="AES-GCM; null when there is none"),
    Column("body", Text, nullable=False, comment="the rest of the configuration as JSON"),
)

queued_events: Final = Table(
    "queued_events",
    metadata,
    Column("row_id", Integer, primary_key=True, autoincrement=True),
    Column("account_id", String(12), nullable=False),
    Column("function_name", String(64), nullable=False),
    Column("request_id", String(36), nullable=False),
    Column("body", LargeBinary, nullable=False, comment="msgpack: payload, caller, attempts and first refusal"),
    Column("due_at_ms", BigInteger, nullable=False, index=True),
    Column("accepted_at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

usage_totals: Final = Table(
    "usage_totals",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("function_arn", String(256), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("billed_ms", BigInteger, nullable=False),
    Column("mib_ms", BigInteger, nullable=False),
)

usage_positions: Final = Table(
    "usage_positions",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("counted_up_to", BigInteger, nullable=False),
)

audit_outbox: Final = Table(
    "audit_outbox",
    metadata,
    Column("row_id", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(36), nullable=False, unique=True),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

audit_heads: Final = Table(
    "audit_heads",
    metadata,
    Column("sequence", BigInteger, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
