"""The unmodified AWS CLI, with the profile that `leastwise up` wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.wire.conftest import RUNTIME, package


def aws(platform, *arguments, check=True):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_SHARED_CREDENTIALS_FILE": str(platform.data / "credentials"),
        "AWS_CONFIG_FILE": str(platform.data / "config"),
        "AWS_PROFILE": "leastwise",
        "AWS_PAGER": "",
    }
    return subprocess.run(
        [str(Path(sys.executable).parent / "aws"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=check,
    )


def test_the_aws_cli_does_the_main_job(platform, role, tmp_path):
    zip_file = tmp_path / "code.zip"
    zip_file.write_bytes(package("def handler(event, context):\n    return {'hello': event['who']}\n"))
    who = json.loads(aws(platform, "sts", "get-caller-identity").stdout)
    assert who["Arn"].endswith(":user/administrator")
    made = aws(
        platform, "lambda", "create-function", "--function-name", "by-cli", "--runtime", RUNTIME, "--role", role,
        "--handler", "app.handler", "--zip-file", f"fileb://{zip_file}",
    )  # fmt: skip
    assert json.loads(made.stdout)["FunctionName"] == "by-cli"
    aws(platform, "lambda", "wait", "function-active-v2", "--function-name", "by-cli")
    answer = tmp_path / "answer.json"
    aws(
        platform, "lambda", "invoke", "--function-name", "by-cli", "--payload", '{"who": "you"}',
        "--cli-binary-format", "raw-in-base64-out", str(answer),
    ) if _is_v2(platform) else aws(
        platform, "lambda", "invoke", "--function-name", "by-cli", "--payload", '{"who": "you"}', str(answer)
    )  # fmt: skip
    assert json.loads(answer.read_text()) == {"hello": "you"}
    listed = json.loads(aws(platform, "lambda", "list-functions", "--max-items", "1").stdout)
    assert len(listed["Functions"]) == 1
    assert "by-cli" in aws(platform, "logs", "describe-log-groups").stdout
    aws(platform, "lambda", "delete-function", "--function-name", "by-cli")
    gone = aws(platform, "lambda", "get-function", "--function-name", "by-cli", check=False)
    assert gone.returncode != 0
    assert "ResourceNotFoundException" in gone.stderr


def _is_v2(platform):
    return aws(platform, "--version").stdout.startswith("aws-cli/2")
