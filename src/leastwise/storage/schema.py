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
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("password_last_used_at_ms", BigInteger),
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
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("last_used_at_ms", BigInteger),
    Column("last_used_region", String(64)),
)

groups: Final = Table(
    "groups",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("name_key", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("group_id", String(32), nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
)

group_members: Final = Table(
    "group_members",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("group_key", String(128), primary_key=True),
    Column("user_key", String(64), primary_key=True),
    # Names follow their owners; who is in a group, and a group with somebody in it, cannot be removed.
    ForeignKeyConstraint(["account_id", "group_key"], ["groups.account_id", "groups.name_key"], onupdate="CASCADE"),
    ForeignKeyConstraint(["account_id", "user_key"], ["users.account_id", "users.name_key"], onupdate="CASCADE"),
    Index(None, "account_id", "user_key"),
)

inline_policies: Final = Table(
    "inline_policies",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("owner_kind", String(8), primary_key=True),
    Column("owner_key", String(128), primary_key=True, comment="the owner's name in lower case"),
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
    Column("revision", Integer, nullable=False, server_default="0"),
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
    Column("owner_key", String(128), primary_key=True),
    Column("policy_arn", String(2048), primary_key=True),
    ForeignKeyConstraint(["policy_arn"], ["managed_policies.arn"]),
    Index(None, "policy_arn"),
)

login_profiles: Final = Table(
    "login_profiles",
    metadata,
    Column("user_id", String(32), primary_key=True, comment="a new name takes the password along"),
    Column("account_id", String(12), nullable=False, index=True),
    Column("password_hash", String(256), nullable=False, comment="argon2id, encoded"),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("reset_required", Boolean, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
)

password_history: Final = Table(
    "password_history",
    metadata,
    Column("user_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="0 is the newest"),
    Column("password_hash", String(256), nullable=False),
    ForeignKeyConstraint(["user_id"], ["login_profiles.user_id"], ondelete="CASCADE"),
)

password_policies: Final = Table(
    "password_policies",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("minimum_length", Integer, nullable=False),
    Column("require_symbols", Boolean, nullable=False),
    Column("require_numbers", Boolean, nullable=False),
    Column("require_uppercase", Boolean, nullable=False),
    Column("require_lowercase", Boolean, nullable=False),
    Column("users_may_change", Boolean, nullable=False),
    Column("max_age_days", Integer),
    Column("reuse_prevention", Integer),
    Column("hard_expiry", Boolean),
)

account_aliases: Final = Table(
    "account_aliases",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("alias", String(63), nullable=False, unique=True),
)

session_epochs: Final = Table(
    "session_epochs",
    metadata,
    Column("unique_id", String(32), primary_key=True, comment="of the role or user; never given again"),
    Column("account_id", String(12), nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("not_before_ms", BigInteger, nullable=False, comment="sessions that began then or before have ended"),
)

directory_revision: Final = Table(
    "directory_revision",
    metadata,
    Column("name", String(16), primary_key=True, comment="one row: identities"),
    Column("revision", BigInteger, nullable=False, comment="grows with every change of identities"),
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

organizations: Final = Table(
    "organizations",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False, comment="1: an installation has one organization"),
    Column("organization_id", String(34), nullable=False),
    Column("root_id", String(34), nullable=False),
    Column("management_account_id", String(12), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("enabled", String(256), nullable=False, comment="policy types, separated by blanks"),
)

organizational_units: Final = Table(
    "organizational_units",
    metadata,
    Column("unit_id", String(68), primary_key=True),
    Column("parent_id", String(68), nullable=False),
    Column("name", String(128), nullable=False),
    UniqueConstraint("parent_id", "name"),
)

organization_members: Final = Table(
    "organization_members",
    metadata,
    Column("account_id", String(12), primary_key=True),
    Column("name", String(50), nullable=False),
    Column("email", String(64), nullable=False),
    Column("email_key", String(64), nullable=False, unique=True, comment="lower case"),
    Column("parent_id", String(68), nullable=False),
    Column("standing", String(16), nullable=False),
    Column("invited", Boolean, nullable=False),
    Column("joined_at_ms", BigInteger, nullable=False),
)

guardrails: Final = Table(
    "guardrails",
    metadata,
    Column("policy_id", String(130), primary_key=True),
    Column("type", String(32), nullable=False),
    Column("name", String(128), nullable=False),
    Column("description", String(512), nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("type", "name"),
)

guardrail_attachments: Final = Table(
    "guardrail_attachments",
    metadata,
    Column("policy_id", String(130), primary_key=True),
    Column("target_id", String(68), primary_key=True),
)

organization_tags: Final = Table(
    "organization_tags",
    metadata,
    Column("resource_id", String(130), primary_key=True),
    Column("tags", Text, nullable=False),
)

account_creations: Final = Table(
    "account_creations",
    metadata,
    Column("request_id", String(36), primary_key=True),
    Column("name", String(50), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("account_id", String(12), comment="null when it failed"),
    Column("failure", String(64)),
)
