"""Build both forms of the plugin: the runtime tree and the single file. scripts/build runs it.

    dist/rollout-verdict-runtime_linux_ARCH.tar.gz   the tree, to be unpacked at /opt/verdict
    dist/rollout-verdict_linux_ARCH                  the single file
    dist/SHA256SUMS

Needs Debian 12 with apt-get and a C compiler, which is installed when it is missing and we are root.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import archive
import debian
import tree

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
# A static glibc is safe here: the launcher looks up no names, users or locales.
CFLAGS = ["-std=gnu11", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion",
          "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-Wl,--build-id=none"]  # fmt: skip
COMPILERS = {"amd64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}
COMPILER_PACKAGES = {"amd64": ("gcc", "libc6-dev"), "arm64": ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross")}


def main() -> int:
    """Build for the architectures that are asked for."""
    parser = argparse.ArgumentParser(prog="scripts/build", description=__doc__.splitlines()[0])
    parser.add_argument("--arch", choices=sorted(COMPILERS), action="append", help="default: amd64")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build", help="downloads and intermediate files")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="where the results go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for arch in options.arch or ["amd64"]:
        build(arch, options.work.resolve(), options.out.resolve())
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(options.out.glob("rollout-verdict*_linux_*"))
    ]
    (options.out / "SHA256SUMS").write_text("".join(sums))
    print("".join(sums), end="")
    return 0


def build(arch: str, work: Path, out: Path) -> None:
    """Build tree and single file for one architecture."""
    system, versions = _system(arch, work)
    # Byte code is the same for every architecture, but the interpreter that makes it must run here.
    native, _ = (system, versions) if arch == "amd64" else _system("amd64", work)
    target = work / arch / "tree"
    tree.make(
        system=system, arch=arch, repository=REPOSITORY, tree=target,
        compiler=tree.starter(native, "amd64"), versions=versions,
    )  # fmt: skip
    packed = archive.payload(target)
    (out / f"rollout-verdict-runtime_linux_{arch}.tar.gz").write_bytes(packed)
    file = out / f"rollout-verdict_linux_{arch}"
    file.write_bytes(archive.single_file(_launcher(arch, work), packed))
    file.chmod(0o755)


def _system(arch: str, work: Path) -> tuple[Path, str]:
    files = debian.fetch(debian.PACKAGES, arch, work / arch)
    system = work / arch / "system"
    shutil.rmtree(system, ignore_errors=True)
    debian.unpack(files, system)
    return system, debian.versions(files)


def _launcher(arch: str, work: Path) -> bytes:
    compiler = COMPILERS[arch]
    if shutil.which(compiler) is None:
        _install(*COMPILER_PACKAGES[arch])
    zlib = work / arch / "zlib"
    debian.unpack(debian.fetch(debian.LINK_PACKAGES, arch, work / arch / "link"), zlib)
    launcher = work / arch / "launch"
    include, library = zlib / "usr/include", zlib / "usr/lib" / tree.TRIPLETS[arch]
    subprocess.run(
        [compiler, *CFLAGS, "-isystem", include, "-L", library, "-o", launcher, HERE / "launch.c", "-lz"], check=True
    )
    return launcher.read_bytes()


def _install(*packages: str) -> None:
    if os.geteuid() != 0:
        raise SystemExit(f"install {' '.join(packages)} first (root could do it from here)")
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = [*apt, "install", "--yes", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)


if __name__ == "__main__":
    sys.exit(main())
