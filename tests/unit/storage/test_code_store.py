"""The code directory: what is on the disk afterwards, also when things go wrong in between."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import os
import py_compile
import stat
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leastwise.functions.interface import InvalidPackage, PackageTooLarge
from leastwise.kernel import errors
from leastwise.kernel.units import HOUR_MS
from leastwise.storage.bytecode import BytecodeCompiler
from leastwise.storage.code import CodeDirectory

OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"
FILE = stat.S_IFREG | 0o644


class SetClock:
    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000


def package(contents: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (content, mode) in contents.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


APP = package(
    {
        "app.py": (b"def handler(event, context):\n    return event\n", FILE),
        "pkg/__init__.py": (b"", FILE),
        "pkg/mod.py": (b"VALUE = 7\n", FILE),
        "bin/tool": (b"#!/bin/sh\necho hi\n", stat.S_IFREG | 0o6755),
        "tool": (b"bin/tool", stat.S_IFLNK | 0o777),
        "broken.py": (b"def (:\n", FILE),
    }
)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def no_compiler():
    return lambda _runtime, _tree: None


@pytest.fixture
def store(tmp_path, clock, no_compiler):
    directory = CodeDirectory(tmp_path / "code", clock=clock, compile_with=no_compiler)
    directory.open()
    return directory


@pytest.fixture
def compiling(tmp_path, clock):
    compiler = BytecodeCompiler({OWN: Path(sys.executable)})
    directory = CodeDirectory(tmp_path / "code", clock=clock, compile_with=compiler)
    directory.open()
    return directory


def names_in(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def leftovers(store: CodeDirectory) -> list[str]:
    return names_in(store.path("0" * 64).parent.parent / "incoming")


def test_a_package_is_named_by_the_hash_of_its_zip(store):
    code = store.put(APP, python_versions=())
    assert hashlib.sha256(APP).hexdigest() == code.digest
    assert len(APP) == code.zip_bytes
    assert store.zip_path(code.digest).read_bytes() == APP


def test_contents_links_and_execute_bits_arrive(store):
    tree = store.path(store.put(APP, python_versions=()).digest)
    assert (tree / "pkg/mod.py").read_bytes() == b"VALUE = 7\n"
    assert os.readlink(tree / "tool") == "bin/tool"
    assert subprocess.run([tree / "tool"], capture_output=True, text=True, check=True).stdout == "hi\n"


def test_everything_is_read_only_and_nothing_sets_a_user_id(store):
    tree = store.path(store.put(APP, python_versions=()).digest)
    modes = {
        str(path.relative_to(tree)): stat.S_IMODE(path.lstat().st_mode)
        for path in [tree, *tree.rglob("*")]
        if not path.is_symlink()
    }
    assert {0o444, 0o555} == set(modes.values())
    assert modes["bin/tool"] == 0o555
    assert modes["app.py"] == 0o444


def test_other_users_of_the_machine_cannot_look_in(store):
    assert stat.S_IMODE(store.path("0" * 64).parent.parent.stat().st_mode) == 0o700


def test_the_same_zip_twice_is_one_copy(store):
    assert store.put(APP, python_versions=()) == store.put(APP, python_versions=())
    assert leftovers(store) == []


def test_threads_that_put_the_same_zip_at_once_all_get_it(compiling):
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: compiling.put(APP, python_versions=(OWN,)), range(16)))
    assert len(set(codes)) == 1
    assert leftovers(compiling) == []


def test_a_refused_package_leaves_nothing(store):
    damaged = APP.replace(b"PK\x03\x04", b"PK\x03\x05", 1)
    for bad in (b"no zip", damaged):
        with pytest.raises(InvalidPackage):
            store.put(bad, python_versions=())
    assert leftovers(store) == []
    assert names_in(store.path("0" * 64).parent.parent) == ["incoming"]


def test_a_package_that_turns_out_damaged_while_it_is_written_leaves_nothing(store):
    data = bytearray(package({f"{number}.py": (os.urandom(1000), FILE) for number in range(5)}))
    data[40 + 3 * 1040] ^= 0xFF
    with pytest.raises(InvalidPackage):
        store.put(bytes(data), python_versions=())
    assert leftovers(store) == []


def test_a_zip_of_fifty_mebibytes_is_refused_before_it_is_read(store):
    with pytest.raises(PackageTooLarge):
        store.put(bytes(52_428_800), python_versions=())


def test_what_a_killed_platform_left_is_removed_at_the_next_start(store, tmp_path, clock, no_compiler):
    code = store.put(APP, python_versions=())
    half = tmp_path / "code" / "incoming" / "abc" / "tree" / "locked"
    half.mkdir(parents=True)
    (half / "file").write_bytes(b"x")
    (half / "link").symlink_to(store.path(code.digest))
    half.chmod(0o555)
    CodeDirectory(tmp_path / "code", clock=clock, compile_with=no_compiler).open()
    assert leftovers(store) == []
    assert (store.path(code.digest) / "app.py").exists()


def test_a_full_disk_is_the_platforms_fault_and_leaves_nothing(store, tmp_path, clock):
    def no_space(_runtime: str, _tree: Path) -> None:
        raise OSError(28, "No space left on device")

    directory = CodeDirectory(tmp_path / "code", clock=clock, compile_with=no_space)
    with pytest.raises(errors.Unavailable):
        directory.put(APP, python_versions=(OWN,))
    assert leftovers(store) == []


@pytest.mark.parametrize("digest", ["../../etc", "", "A" * 64, "0" * 63, "incoming"])
def test_what_is_no_digest_never_becomes_a_path(store, digest):
    with pytest.raises(errors.Bug):
        store.path(digest)


def test_bytecode_is_what_the_interpreter_would_make_and_names_the_path_inside(compiling):
    tree = compiling.path(compiling.put(APP, python_versions=(OWN,)).digest)
    cached = Path(importlib.util.cache_from_source(str(tree / "pkg/mod.py")))
    found = cached.read_bytes()
    expected = cached.parent.parent.parent.parent / "expected.pyc"
    py_compile.compile(
        str(tree / "pkg/mod.py"),
        cfile=str(expected),
        dfile="/var/task/pkg/mod.py",
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    # References within marshalled data differ from run to run: headers are compared as bytes, the rest as code.
    assert expected.read_bytes()[:16] == found[:16]
    assert marshal.loads(expected.read_bytes()[16:]) == marshal.loads(found[16:])
    assert marshal.loads(found[16:]).co_filename == "/var/task/pkg/mod.py"
    assert stat.S_IMODE(cached.stat().st_mode) == 0o444


def test_the_interpreter_uses_the_bytecode(compiling, tmp_path):
    tree = compiling.path(compiling.put(APP, python_versions=(OWN,)).digest)
    script = f"import sys; sys.path.insert(0, {str(tree)!r}); import pkg.mod; print(pkg.mod.VALUE)"
    done = subprocess.run([sys.executable, "-v", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
    assert "code object from" in done.stderr
    assert f"matches {tree}/pkg/mod.py" in done.stderr


def test_a_file_that_does_not_compile_is_left_alone(compiling):
    tree = compiling.path(compiling.put(APP, python_versions=(OWN,)).digest)
    names = {path.name.partition(".")[0] for path in (tree / "__pycache__").iterdir()}
    assert {"app"} == names


def test_another_runtime_is_compiled_into_the_same_tree(tmp_path, clock):
    asked = []

    def compiler(runtime: str, tree: Path) -> None:
        asked.append(runtime)
        (tree / f"{runtime}.mark").write_bytes(b"")

    directory = CodeDirectory(tmp_path / "code", clock=clock, compile_with=compiler)
    directory.open()
    code = directory.put(APP, python_versions=("python3.9",))
    directory.put(APP, python_versions=("python3.9", "python3.12"))
    directory.compile(code.digest, python_versions=("python3.13",))
    assert asked == ["python3.9", "python3.12", "python3.13"]
    assert stat.S_IMODE(directory.path(code.digest).stat().st_mode) == 0o555


def test_compiling_never_runs_the_code(compiling, tmp_path):
    mark = tmp_path / "ran"
    evil = f"open({str(mark)!r}, 'w')\n".encode()
    names = ["sitecustomize.py", "encodings/__init__.py", "os.py", "marshal.py", "conftest.py", "x.pth"]
    tree = compiling.path(compiling.put(package(dict.fromkeys(names, (evil, FILE))), python_versions=(OWN,)).digest)
    assert not mark.exists()
    assert (tree / "__pycache__").exists()


def test_a_source_that_exhausts_the_compiler_only_costs_its_own_bytecode(compiling):
    bombs = {
        "deep.py": (b"x = " + b"(" * 50_000 + b")" * 50_000, FILE),
        "unary.py": (b"x = " + b"-" * 900_000 + b"1", FILE),
        "nul.py": (b"x = 1\0", FILE),
        "coding.py": (b"# coding: no-such\n", FILE),
    }
    code = compiling.put(package(bombs), python_versions=(OWN,))
    assert set(bombs) <= set(names_in(compiling.path(code.digest)))


def test_an_interpreter_that_cannot_be_started_costs_the_bytecode_and_not_the_deployment(tmp_path, clock):
    compiler = BytecodeCompiler({OWN: tmp_path / "gone"})
    directory = CodeDirectory(tmp_path / "code", clock=clock, compile_with=compiler)
    directory.open()
    code = directory.put(APP, python_versions=(OWN, "python2.7"))
    assert (directory.path(code.digest) / "app.py").exists()


@pytest.mark.parametrize(
    "answer", ["", "printf x", "printf '\\377\\377\\377\\377'", "printf '\\020\\000\\000\\000short'"]
)
def test_a_compiler_that_dies_or_lies_costs_the_bytecode_and_not_the_deployment(tmp_path, clock, answer):
    liar = tmp_path / "liar"
    liar.write_text(f"#!/bin/sh\n{answer}\n")
    liar.chmod(0o755)
    directory = CodeDirectory(tmp_path / "code", clock=clock, compile_with=BytecodeCompiler({OWN: liar}))
    directory.open()
    large = package({f"{number}.py": (b"x = 1\n" * 200_000, FILE) for number in range(3)})
    tree = directory.path(directory.put(large, python_versions=(OWN,)).digest)
    assert names_in(tree) == ["0.py", "1.py", "2.py"]


def test_bytecode_is_never_written_through_a_link(compiling, tmp_path):
    tree = compiling.path(
        compiling.put(
            package(
                {
                    "a/__pycache__": (b"../target", stat.S_IFLNK | 0o777),
                    "a/mod.py": (b"x = 1\n", FILE),
                    "target/keep.txt": (b"", FILE),
                    "link.py": (b"a/mod.py", stat.S_IFLNK | 0o777),
                    "b/__pycache__": (b"a file", FILE),
                    "b/mod.py": (b"x = 1\n", FILE),
                }
            ),
            python_versions=(OWN,),
        ).digest
    )
    assert names_in(tree / "target") == ["keep.txt"]
    assert not (tree / "__pycache__").exists()


def test_bytecode_of_the_package_gives_way_to_ours(compiling):
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    shipped = package({"m.py": (b"x = 1\n", FILE), f"__pycache__/m.{tag}.pyc": (b"stale", FILE)})
    tree = compiling.path(compiling.put(shipped, python_versions=(OWN,)).digest)
    assert (tree / "__pycache__" / f"m.{tag}.pyc").read_bytes() != b"stale"


def test_packages_that_nobody_names_are_collected_and_others_stay(store, clock):
    kept = store.put(APP, python_versions=())
    gone = store.put(package({"old.py": (b"", FILE)}), python_versions=())
    clock.ms += 2 * HOUR_MS
    fresh = store.put(package({"new.py": (b"", FILE)}), python_versions=())
    assert (gone.digest,) == store.collect(frozenset({kept.digest}))
    assert not store.path(gone.digest).exists()
    assert store.path(kept.digest).exists()
    assert store.path(fresh.digest).exists()
    assert leftovers(store) == []


def test_a_package_that_is_deployed_again_is_not_collected_under_the_deployment(store, clock):
    code = store.put(APP, python_versions=())
    clock.ms += 2 * HOUR_MS
    store.put(APP, python_versions=())
    assert store.collect(frozenset()) == ()
    assert store.path(code.digest).exists()


def test_collecting_and_putting_the_same_package_at_once_never_loses_it(store, clock):
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            store.collect(frozenset(), untouched_for_ms=-1)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for _ in range(50):
            assert len(APP) == store.put(APP, python_versions=()).zip_bytes
    finally:
        stop.set()
        collector.join()
