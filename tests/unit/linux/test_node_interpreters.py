"""Which Node interpreters are found."""

from __future__ import annotations

from pathlib import Path

from leastwise.linux.node_interpreters import NodeInstall, find_nodes


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_each_supported_major_version_is_one_runtime(tmp_path):
    first = program(tmp_path / "a/bin/node", "echo v20.1.0")
    second = program(tmp_path / "b/bin/node", "echo v24.19.0")
    assert {
        "nodejs20.x": NodeInstall(binary=first, prefix=tmp_path / "a"),
        "nodejs24.x": NodeInstall(binary=second, prefix=tmp_path / "b"),
    } == find_nodes([first, second])


def test_the_first_of_one_major_version_wins(tmp_path):
    first = program(tmp_path / "a/bin/node", "echo v20.1.0")
    second = program(tmp_path / "b/bin/node", "echo v20.2.0")
    assert first == find_nodes([first, second])["nodejs20.x"].binary


def test_what_is_no_node_or_no_supported_one_is_left_out(tmp_path):
    candidates = [
        program(tmp_path / "old/bin/node", "echo v18.0.0"),
        program(tmp_path / "odd/bin/node", "echo v23.0.0"),
        program(tmp_path / "broken/bin/node", "exit 1"),
        program(tmp_path / "liar/bin/node", "echo v20.1.0; exit 1"),
        program(tmp_path / "chatty/bin/node", "echo hello v20.1.0"),
        tmp_path / "missing/bin/node",
        tmp_path,
    ]
    assert {} == find_nodes(candidates)


def test_a_link_is_followed_to_the_installation(tmp_path):
    binary = program(tmp_path / "opt/node/bin/node", "echo v20.1.0")
    link = tmp_path / "bin/node"
    link.parent.mkdir()
    link.symlink_to(binary)
    assert {"nodejs20.x": NodeInstall(binary=binary, prefix=tmp_path / "opt/node")} == find_nodes([link])


def test_relative_entries_of_path_are_never_run(tmp_path, monkeypatch):
    program(tmp_path / "node", "touch ran; echo v20.1.0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ":.:relative")
    find_nodes()
    assert not (tmp_path / "ran").exists()


def test_the_environment_of_the_platform_is_not_handed_to_candidates(tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_OPTIONS", "--require /evil.js")
    candidate = program(tmp_path / "bin/node", '[ -z "$NODE_OPTIONS" ] && echo v20.1.0')
    assert ["nodejs20.x"] == list(find_nodes([candidate]))
