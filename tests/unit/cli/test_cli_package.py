"""Packages: the same bytes for the same files, and nothing that should have stayed at home."""

import io
import os
import stat
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.cli import package
from leastwise.cli.failures import CommandError


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def names(root: Path, **how) -> list[str]:
    return [entry.name for entry in package.select_files(root, **how)]


def unpacked(content: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(content))


def test_the_same_files_give_the_same_bytes_whatever_their_times_and_order(tmp_path):
    first = write(tmp_path / "first", **{"b.py": "b", "a.py": "a", "lib/c.py": "c"})
    second = write(tmp_path / "second", **{"lib/c.py": "c", "a.py": "a", "b.py": "b"})
    os.utime(second / "a.py", (1, time.time() - 10**6))
    (second / "b.py").chmod(0o600)
    built = [package.build_zip(package.select_files(root)) for root in (first, second)]
    assert built[0] == built[1]


def test_another_content_gives_another_package(tmp_path):
    root = write(tmp_path, **{"a.py": "1"})
    before = package.build_zip(package.select_files(root))
    (root / "a.py").write_text("2")
    assert before != package.build_zip(package.select_files(root))


def test_names_are_sorted_by_their_bytes(tmp_path):
    root = write(tmp_path, **{"b": "", "a/z": "", "a.py": "", "ä": "", "Z": ""})
    assert unpacked(package.build_zip(package.select_files(root))).namelist() == ["Z", "a.py", "a/z", "b", "ä"]


def test_the_x_bit_is_kept_and_nothing_else_of_the_mode(tmp_path):
    root = write(tmp_path, bootstrap="#!", plain="")
    (root / "bootstrap").chmod(0o4751)
    (root / "plain").chmod(0o600)
    modes = {
        info.filename: info.external_attr >> 16
        for info in unpacked(package.build_zip(package.select_files(root))).infolist()
    }
    assert modes == {"bootstrap": stat.S_IFREG | 0o755, "plain": stat.S_IFREG | 0o644}


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        "sub/.git/config",
        ".env",
        ".env.production",
        "sub/.env",
        ".venv/bin/python",
        "venv/x",
        "__pycache__/a.pyc",
        "a.pyc",
        ".aws/credentials",
        ".ssh/id_ed25519",
        ".netrc",
        ".pypirc",
        ".npmrc",
        ".leastwise/credentials",
        ".leastwiseignore",
    ],
)
def test_keys_histories_and_caches_are_never_packed(tmp_path, name):
    root = write(tmp_path, **{"app.py": "", name: ""})
    assert names(root) == ["app.py"]


def test_a_data_directory_of_another_name_is_left_out_too(tmp_path):
    root = write(tmp_path, **{"app.py": "", "state/credentials": "secret"})
    assert names(root, without=(root / "state",)) == ["app.py"]


def test_the_ignore_file_leaves_out_names_anywhere_and_paths_from_the_root(tmp_path):
    root = write(
        tmp_path,
        **{
            ".leastwiseignore": "# remarks\n\n*.md\ntests/\ndocs/*.txt\n/only_here.py\n",
            "README.md": "",
            "sub/README.md": "",
            "tests/a.py": "",
            "sub/tests/a.py": "",
            "docs/a.txt": "",
            "sub/docs/a.txt": "",
            "only_here.py": "",
            "sub/only_here.py": "",
        },
    )
    patterns = (*package.NEVER_PACKED, *package.read_ignore(root))
    assert names(root, patterns=patterns) == ["sub/docs/a.txt", "sub/only_here.py"]


def test_a_negation_in_the_ignore_file_is_refused_rather_than_misread(tmp_path):
    (tmp_path / ".leastwiseignore").write_text("*.md\n!README.md\n")
    with pytest.raises(CommandError, match="not supported"):
        package.read_ignore(tmp_path)


def test_a_link_inside_the_directory_is_packed_as_a_link(tmp_path):
    root = write(tmp_path, **{"lib/real.so.1": "x"})
    (root / "lib" / "real.so").symlink_to("real.so.1")
    packed = unpacked(package.build_zip(package.select_files(root)))
    info = packed.getinfo("lib/real.so")
    assert (stat.S_ISLNK(info.external_attr >> 16), packed.read(info)) == (True, b"real.so.1")


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside", "loop"])
def test_a_link_out_of_the_directory_is_refused(tmp_path, target):
    (tmp_path / "outside").write_text("a private key")
    root = write(tmp_path / "root", **{"sub/a.py": ""})
    (root / "loop").symlink_to(target)
    with pytest.raises(CommandError, match="links out"):
        names(root)


def test_a_linked_directory_is_not_walked_into(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("")
    root = write(tmp_path / "root", **{"app.py": ""})
    (root / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(CommandError, match="links out"):
        names(root)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CommandError, match="neither a file nor a link"):
        names(tmp_path)


def test_nothing_to_pack_is_an_error():
    with pytest.raises(CommandError, match="nothing to deploy"):
        package.build_zip([])


def test_more_than_lambda_takes_is_refused_before_it_is_read(tmp_path):
    huge = package.Entry(
        name="a", path=tmp_path / "not there", mode=stat.S_IFREG | 0o644, size=package.LARGEST_UNPACKED_BYTES + 1
    )
    with pytest.raises(CommandError, match="limit"):
        package.build_zip([huge])


def test_ones_own_file_wins_over_a_dependency(tmp_path):
    theirs = package.select_files(write(tmp_path / "theirs", **{"a.py": "theirs", "b.py": "theirs"}))
    own = package.select_files(write(tmp_path / "own", **{"a.py": "own"}))
    packed = unpacked(package.build_zip(package.merge(theirs, own)))
    assert {name: packed.read(name) for name in packed.namelist()} == {"a.py": b"own", "b.py": b"theirs"}


@pytest.mark.parametrize(
    ("handler", "runtime", "present"),
    [
        ("app.handler", "python3.11", ["app.py"]),
        ("pkg/mod.handler", "python3.11", ["pkg/mod.py"]),
        ("pkg.mod.handler", "python3.11", ["pkg/mod.py"]),
        ("pkg.handler", "python3.11", ["pkg/__init__.py"]),
        ("fast.handler", "python3.11", ["fast.cpython-311-x86_64-linux-gnu.so"]),
        ("index.handler", "nodejs20.x", ["index.mjs"]),
        ("src/index.handler", "nodejs20.x", ["src/index.js"]),
        ("whatever", "provided.al2023", ["bootstrap"]),
    ],
)
def test_a_handler_that_is_there_is_no_problem(handler, runtime, present):
    assert package.handler_problem(handler, runtime, present) is None


@pytest.mark.parametrize(
    ("handler", "runtime", "present"),
    [
        ("app.handler", "python3.11", ["main.py"]),
        ("app", "python3.11", ["app.py"]),
        (".handler", "python3.11", ["app.py"]),
        ("app.", "python3.11", ["app.py"]),
        ("app .x", "python3.11", ["app .py"]),
        ("app.handler", "nodejs20.x", ["app.py"]),
        ("x", "provided", ["app.py"]),
    ],
)
def test_a_handler_that_is_not_there_is_named(handler, runtime, present):
    assert package.handler_problem(handler, runtime, present) is not None


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.py", fullmatch=True), st.binary(max_size=50), min_size=1)
)
def test_what_is_packed_is_what_was_there(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("function")
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    packed = unpacked(package.build_zip(package.select_files(root)))
    assert files == {name: packed.read(name) for name in packed.namelist()}
