# Sourced by the other scripts: makes .venv from a lock file, once, and leaves it alone while the lock is the same.
# After the first time nothing here needs the network.
set -eu
CALLER=$PWD
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
VENV="$ROOT/.venv"
PY="$VENV/bin/python"
export PYTHONPATH="$ROOT/plugin" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "rollout-verdict needs Python 3.11 or newer as python3" >&2
    exit 1
}

make_venv() { # make_venv FOLDER
    base=$(find_python)
    "$base" -m venv "$1" >/dev/null 2>&1 && return
    # Debian's bare python3 has no ensurepip; the pip beside it, if any, can fill an empty environment.
    rm -rf "$1"
    "$base" -m venv --without-pip "$1"
    "$base" -m pip --python "$1/bin/python" install -q pip 2>/dev/null && return
    rm -rf "$1"
    echo "$base has neither venv with pip nor pip of its own: install the package python3-venv" >&2
    exit 1
}

need_lock() { # need_lock FOLDER LOCKFILE: FOLDER is a virtual environment that holds what LOCKFILE pins
    stamp="$1/.lock-$(basename "$2")"
    cmp -s "$2" "$stamp" && return
    [ -x "$1/bin/python" ] || make_venv "$1"
    echo "installing the locked packages of $2 (first time only) ..." >&2
    "$1/bin/python" -m pip install -q --no-deps --require-hashes -r "$2"
    # the checkout itself, as an editable installation would have it, but without a build
    site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$ROOT/plugin" >"$site/rollout_verdict.pth"
    printf '#!/bin/sh\nexec "%s/bin/python" -m rollout_verdict "$@"\n' "$1" >"$1/bin/rollout-verdict"
    chmod +x "$1/bin/rollout-verdict"
    cp "$2" "$stamp"
}
