"""What scripts/build makes: the same bytes every time, needing nothing outside of itself, and nothing too much in it."""

import gzip
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.conftest import ROOT, needs
from tests.packaging.conftest import Built, build

# 26 MB was measured when the layout was designed; twice that would be noticed by whoever pays for the pods' disks.
_MAX_TREE_BYTES = 32_000_000
_MAX_FILE_BYTES = 12_000_000


def elf_files(tree: Path) -> list[Path]:
    return [path for path in sorted(tree.rglob("*")) if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]


def readelf(*words: str | Path) -> str:
    needs("readelf")
    return subprocess.run(["readelf", *words], check=True, capture_output=True, text=True).stdout


def test_two_builds_are_equal(built: Built, tmp_path: Path) -> None:
    """Another folder, another time: the same sha256. Only the downloaded packages are shared."""
    work = tmp_path / "somewhere else" / "work"
    for packages in ("amd64/packages", "amd64/link/packages"):
        shutil.copytree(ROOT / ".cache/package" / packages, work / packages)
    again = build(work, tmp_path / "out")
    names = sorted(path.name for path in built.file.parent.iterdir())
    assert names == sorted(path.name for path in again.file.parent.iterdir())
    assert "SHA256SUMS" in names
    for name in names:
        first, second = (
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for folder in (built.file.parent, again.file.parent)
        )
        assert first == second, name


def test_the_sums_are_those_of_the_files(built: Built) -> None:
    """SHA256SUMS holds 64 hexadecimal digits for each file: what the controller's ConfigMap wants."""
    lines = (built.file.parent / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, name = line.split("  ")
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert hashlib.sha256((built.file.parent / name).read_bytes()).hexdigest() == digest


def test_the_interpreter_names_its_own_loader(built: Built) -> None:
    """The kernel finds the loader in the tree, and the loader the libraries beside it."""
    assert "/opt/verdict/lib/ld.so" in readelf("-lW", built.tree / "bin/python3")
    assert "(RPATH)              Library rpath: [$ORIGIN/../lib]" in readelf("-dW", built.tree / "bin/python3")


def test_no_library_from_outside(built: Built) -> None:
    """Every library that a file in the tree needs is in the tree; the loader goes by its other name there."""
    there = {path.name for path in (built.tree / "lib").glob("*")} | {"ld-linux-x86-64.so.2"}
    files = elf_files(built.tree)
    assert len(files) > 10
    for path in files:
        needed = set(re.findall(r"\(NEEDED\) +Shared library: \[(.+)\]", readelf("-dW", path)))
        assert needed <= there, path


def test_the_launcher_is_static(built: Built) -> None:
    """No loader, no library: it starts in an empty root."""
    assert "INTERP" not in readelf("-lW", built.launcher)
    assert "NEEDED" not in readelf("-dW", built.launcher)


def test_the_script_fits_the_kernel(built: Built) -> None:
    """An absolute interpreter, one argument, well under the 255 bytes that a first line may have."""
    first = (built.tree / "plugin").read_text().splitlines()[0]
    assert first == "#!/opt/verdict/bin/python3 -IBS"
    assert (built.tree / "plugin").stat().st_mode & 0o777 == 0o755


def test_the_tree_is_thin(built: Built) -> None:
    """No package but ours, of ours neither engine nor adapters, no source of the standard library, no stray file."""
    files = [path for path in built.tree.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < _MAX_TREE_BYTES
    assert built.file.stat().st_size < _MAX_FILE_BYTES
    assert sorted(path.name for path in (built.tree / "app").iterdir()) == ["__main__.pyc", "rollout_verdict"]
    parts = {path.name for path in (built.tree / "app/rollout_verdict").iterdir()}
    assert {"rpc", "wire", "__init__.py"} <= parts
    assert not {"adapters", "core", "engine.py", "cli"} & parts
    assert not list((built.tree / "lib").rglob("*.py"))
    assert not [path for path in built.tree.rglob("*") if path.is_symlink()]
    assert not [
        path for path in built.tree.rglob("*") if path.name in ("sitecustomize.pyc", "site-packages", "dist-packages")
    ]
    assert not [path for path in files if str(ROOT).encode() in path.read_bytes()]


def test_the_tree_tells_what_is_in_it(built: Built) -> None:
    """Packages with their exact versions, and the licence of each: what a security update or a lawyer asks for."""
    packages = [line.split() for line in (built.tree / "share/packages.txt").read_text().splitlines()]
    assert {"libc6", "libssl3", "python3.11-minimal", "zlib1g"} <= {name for name, _, _ in packages}
    licences = {path.name for path in (built.tree / "share/licences").iterdir()}
    assert {name for name, _, _ in packages} | {"rollout-verdict"} <= licences


def test_every_module_imports(built: Built) -> None:
    """What is in the app folder, and what it imports later for a measurement over TLS, is complete."""
    modules = [
        path.relative_to(built.tree / "app").with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for path in sorted((built.tree / "app/rollout_verdict").rglob("*.py"))
    ]
    assert "rollout_verdict.rpc.remote" in modules
    code = f"import sys; sys.path.insert(0, {str(built.tree / 'app')!r}); import ssl, http.client, urllib.parse, hashlib, json"
    code += "".join(f"; import {module}" for module in modules) + "; print(sys.version_info[:2], ssl.OPENSSL_VERSION)"
    python = built.tree / "bin/python3"
    run = subprocess.run(
        [built.tree / "lib/ld.so", "--library-path", built.tree / "lib", "--argv0", python, python, "-IBS", "-c", code],
        capture_output=True, text=True, check=False, env={},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("(3, 11) OpenSSL 3.")


def test_the_archive_is_the_tree(built: Built) -> None:
    """The tar for the image and the payload of the single file are the same bytes, and those of the tree."""
    packed = (built.file.parent / "rollout-verdict-runtime_linux_amd64.tar.gz").read_bytes()
    assert packed in built.file.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == sorted(member.name for member in members)
        assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
            (0, 0, 0, "", "")
        }
        assert {member.mode for member in members} == {0o644, 0o755}
        for member in members:
            if member.isfile():
                stored = tar.extractfile(member)
                assert stored is not None
                assert stored.read() == (built.tree / member.name).read_bytes()


def test_the_tree_installs_itself(built: Built, tmp_path: Path) -> None:
    """The init container's command copies the whole tree, modes and all."""
    python = built.tree / "bin/python3"
    words = [built.tree / "lib/ld.so", "--library-path", built.tree / "lib", "--argv0", python, python, "-IBS"]
    subprocess.run([*words, built.tree / "install.py", tmp_path / "target"], check=True, env={})
    for path in built.tree.rglob("*"):
        copy = tmp_path / "target" / path.relative_to(built.tree)
        assert copy.stat().st_mode == path.stat().st_mode, path
        assert path.is_dir() or copy.read_bytes() == path.read_bytes()
