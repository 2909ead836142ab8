"""The relocatable runtime tree: a Python that needs nothing of the root it runs in, and the thin plugin.

bin/python3             names lib/ld.so of the mount point as its loader, and ../lib as the place of its libraries
lib/ld.so, lib/lib*.so  the loader and glibc of one build, and what the interpreter and its modules need
lib/python3.11/         the standard library as byte code, without what a thin plugin never imports
app/rollout_verdict/    the plugin, sources and byte code; app/__main__.pyc starts it
plugin                  the script that the controller copies; its first line names bin/python3
install.py              copies the tree, for an init container
share/                  the packages, with versions, and their licences
"""

import ast
import shutil
import subprocess
from pathlib import Path

MOUNT = "/opt/verdict"
PYTHON = "python3.11"  # of Debian 12
LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

# glibc opens these by name, so no file says that it needs them.
_BY_NAME = ("libgcc_s.so.1", "libresolv.so.2")
# Parts of the standard library that a process of sockets, threads, JSON and TLS never imports.
_LEFT_OUT = (
    "config-*", "ctypes", "curses", "dbm", "distutils", "ensurepip", "idlelib", "lib2to3",
    "multiprocessing", "pydoc_data", "sqlite3", "test", "tkinter", "turtledemo", "unittest", "venv",
    "wsgiref", "xmlrpc", "asyncio", "lib-dynload/*test*", "lib-dynload/_asyncio*", "lib-dynload/_bz2*",
    "lib-dynload/_codecs_*", "lib-dynload/_ctypes*", "lib-dynload/_curses*", "lib-dynload/_dbm*",
    "lib-dynload/_gdbm*", "lib-dynload/_lzma*", "lib-dynload/_multiprocessing*", "lib-dynload/_sqlite3*",
    "lib-dynload/_tkinter*", "lib-dynload/_uuid*", "lib-dynload/_crypt*", "lib-dynload/_xx*",
    "lib-dynload/audioop*", "lib-dynload/nis*", "lib-dynload/ossaudiodev*", "lib-dynload/readline*",
    "lib-dynload/xx*", "__phello__", "EXTERNALLY-MANAGED", "antigravity.py", "doctest.py", "pdb.py",
    "pydoc.py", "site.py", "this.py", "turtle.py",
)  # fmt: skip
# The thin plugin: these packages, and what they import when they are imported. What they import later, to measure in
# their own process, is not in this tree.
_PACKAGE = "rollout_verdict"
_ROOTS = ("rollout_verdict.wire", "rollout_verdict.rpc")

_PLUGIN = f"""#!{MOUNT}/bin/python3 -IBS
import sys
sys.path.insert(0, "{MOUNT}/app")
from rollout_verdict.rpc.__main__ import main
raise SystemExit(main())
"""
_MAIN = """import sys
sys.path.insert(0, __file__.rpartition("/")[0])
from rollout_verdict.rpc.__main__ import main
raise SystemExit(main())
"""
_INSTALL = '''"""Copy the runtime tree to the folder that is given: what an init container runs."""
import shutil
import sys

shutil.copytree(__file__.rpartition("/")[0], sys.argv[1], dirs_exist_ok=True, copy_function=shutil.copy)
'''


def make(*, system: Path, arch: str, repository: Path, tree: Path, compiler: list[str], versions: str) -> None:
    """Make ``tree`` from the unpacked packages in ``system``. ``compiler`` starts a Python 3.11 that runs here."""
    shutil.rmtree(tree, ignore_errors=True)
    library = tree / "lib" / PYTHON
    shutil.copytree(system / "usr/lib" / PYTHON, library, ignore=_outside)
    for pattern in _LEFT_OUT:
        for path in library.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _copy(system / "usr/bin" / PYTHON, tree / "bin/python3", 0o755)
    _libraries(system, arch, tree)
    for source in thin_modules(repository / "plugin"):
        _copy(repository / "plugin" / source, tree / "app" / source, 0o644)
    (tree / "app/__main__.py").write_text(_MAIN)
    (tree / "plugin").write_text(_PLUGIN)
    (tree / "install.py").write_text(_INSTALL)
    (tree / "share").mkdir()
    (tree / "share/packages.txt").write_text(versions)
    for licence in sorted((system / "usr/share/doc").glob("*/copyright")):
        _copy(licence, tree / "share/licences" / licence.parent.name, 0o644)
    _copy(repository / "LICENSE", tree / "share/licences/rollout-verdict", 0o644)
    _compile(tree, compiler)
    _settle(tree)


def thin_modules(sources: Path) -> list[Path]:
    """Return the files of the thin plugin, relative to ``sources``, sorted."""
    found: set[Path] = set()
    waiting = {path for root in _ROOTS for path in (sources / root.replace(".", "/")).glob("*.py")}
    while waiting:
        path = waiting.pop()
        found.add(path)
        packages = [parent / "__init__.py" for parent in path.relative_to(sources).parents if parent.name]
        waiting |= {sources / package for package in packages} - found
        waiting |= set(_imported(path, sources)) - found
    return sorted(path.relative_to(sources) for path in found)


def _imported(path: Path, sources: Path) -> list[Path]:
    """Return the modules of the package that are imported at the top level of a module."""
    names: list[str] = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [str(node.module), *(f"{node.module}.{name.name}" for name in node.names)]
    own = [sources / name.replace(".", "/") for name in names if name.partition(".")[0] == _PACKAGE]
    files = [place.with_suffix(".py") for place in own] + [place / "__init__.py" for place in own]
    return [file for file in files if file.exists()]


def _outside(folder: str, names: list[str]) -> list[str]:
    """Name the links that lead to the root of the machine (sitecustomize.py): what is there is not ours."""
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if path.is_symlink() and (path.readlink().is_absolute() or not path.exists())]


def _copy(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)  # follows links
    target.chmod(mode)


def _libraries(system: Path, arch: str, tree: Path) -> None:
    """Copy the loader and every library that something in the tree needs, and make them find each other."""
    folders = [system / where / TRIPLETS[arch] for where in ("lib", "usr/lib")]
    loader = LOADERS[arch]
    interpreter = tree / "bin/python3"
    waiting = [interpreter, *sorted((tree / "lib" / PYTHON / "lib-dynload").glob("*.so"))]
    names = list(_BY_NAME)
    done = {loader}
    while waiting or names:
        while waiting:
            names += _patchelf("--print-needed", waiting.pop()).split()
        name = names.pop()
        if name in done:
            continue
        done.add(name)
        source = next((folder / name for folder in folders if (folder / name).exists()), None)
        if source is None:
            raise SystemExit(f"{name} is needed and in none of the packages")
        target = tree / "lib" / name
        _copy(source, target, 0o644)
        waiting.append(target)
        if name != "libc.so.6":  # the loader and libc are one: they are left as they came
            _patchelf("--force-rpath", "--set-rpath", "$ORIGIN", target)
    loaders = [folder / loader for folder in folders] + [system / "lib64" / loader, system / "lib" / loader]
    _copy(next(path for path in loaders if path.exists()), tree / "lib/ld.so", 0o755)
    # DT_RPATH, not RUNPATH: it also serves the extension modules and libraries that are loaded later.
    _patchelf("--set-interpreter", f"{MOUNT}/lib/ld.so", "--force-rpath", "--set-rpath", "$ORIGIN/../lib", interpreter)


def _patchelf(*arguments: str | Path) -> str:
    return subprocess.run(["patchelf", *arguments], check=True, capture_output=True, text=True).stdout


def _compile(tree: Path, compiler: list[str]) -> None:
    """Make byte code that is the same on every build and is never checked against a source or written again."""
    for cache in sorted(tree.rglob("__pycache__")):
        shutil.rmtree(cache)
    command = [*compiler, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", tree, "-p", MOUNT]
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}  # a set in the code is stored in its order
    # Sources of our own package stay, for readable tracebacks; the standard library's would double the tree.
    subprocess.run([*command, tree / "app/rollout_verdict"], check=True, env=environment)
    bare = [tree / "lib" / PYTHON, tree / "app/__main__.py"]
    subprocess.run([*command, "-b", *bare], check=True, env=environment)
    for source in [*sorted((tree / "lib" / PYTHON).rglob("*.py")), tree / "app/__main__.py"]:
        source.unlink()


def _settle(tree: Path) -> None:
    """Give everything the modes that the archive and an image will have, whatever the umask was."""
    executable = {tree / "bin/python3", tree / "lib/ld.so", tree / "plugin"}
    for path in sorted(tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path in executable else 0o644)
    tree.chmod(0o755)


def starter(system: Path, arch: str) -> list[str]:
    """Return the words that start the interpreter of unpacked packages on this machine, through their own loader.

    Not isolated (-I), because that would ignore PYTHONHASHSEED.
    """
    libraries = ":".join(str(system / where / TRIPLETS[arch]) for where in ("lib", "usr/lib"))
    loader = next(
        p for p in (system / "lib" / TRIPLETS[arch] / LOADERS[arch], system / "lib64" / LOADERS[arch]) if p.exists()
    )
    python = system / "usr/bin" / PYTHON
    return [str(loader), "--library-path", libraries, "--argv0", str(python), str(python), "-BS"]
