"""The interpreter and its libraries, as Debian packages, for either architecture: downloaded, never installed.

apt runs on a state of its own (lists, cache, an empty status file) below the build folder, with this machine's sources
and keys: nothing of the machine changes, root is not needed, and another architecture is no special case.
"""

import subprocess
from pathlib import Path

# What the thin plugin needs: the interpreter, and the libraries of the modules that stay (see tree.py).
PACKAGES = (
    "gcc-12-base",  # the licence of libgcc-s1
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libc6",
    "libexpat1",
    "libgcc-s1",  # glibc loads it by name when a thread is ended, and aborts without it
    "libssl3",
    "zlib1g",
)
# What the launcher for another architecture is linked with.
LINK_PACKAGES = ("zlib1g-dev",)


def fetch(names: tuple[str, ...], arch: str, folder: Path) -> list[Path]:
    """Download the packages into ``folder`` and return their files, sorted. What is there already is kept."""
    downloads = folder / "packages"
    downloads.mkdir(parents=True, exist_ok=True)
    apt = _private_apt(arch, folder / "apt")
    files = _present(names, downloads)
    if files is None:
        subprocess.run([*apt, "-qq", "update"], check=True)
        subprocess.run([*apt, "-qq", "download", *names], check=True, cwd=downloads)
        files = _present(names, downloads)
    if files is None:
        raise SystemExit(f"apt-get did not bring all of {', '.join(names)} for {arch}: are the sources Debian 12?")
    return files


def _private_apt(arch: str, state: Path) -> list[str]:
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Sandbox::User": "root",  # the folders are ours; there is nobody to drop to
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::Status": state / "status",
        "Dir::Cache": state / "cache",
    }
    return ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


def _present(names: tuple[str, ...], downloads: Path) -> list[Path] | None:
    found = [sorted(downloads.glob(f"{name}_*.deb")) for name in names]
    if any(len(files) > 1 for files in found):
        raise SystemExit(f"several versions of a package in {downloads}: remove the folder")
    return sorted(files[0] for files in found) if all(found) else None


def unpack(files: list[Path], folder: Path) -> None:
    """Unpack packages into one folder, as an installation would have it."""
    for file in files:
        subprocess.run(["dpkg-deb", "-x", file, folder], check=True)


def versions(files: list[Path]) -> str:
    """Return a line for each package: name, version, architecture."""
    lines = [
        subprocess.run(
            ["dpkg-deb", "-W", "--showformat=${Package} ${Version} ${Architecture}\n", file],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for file in files
    ]
    return "".join(sorted(lines))
