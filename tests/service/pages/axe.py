"""axe-core, the checker of accessibility: one version, fetched once by npm into the cache and held against its digest."""

import base64
import hashlib
import subprocess
import tarfile

from tests.conftest import ROOT, missing, needs

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
CACHE = ROOT / ".cache" / "axe"
SERIOUS = ("serious", "critical")


def script():
    """Return its source; skips (fails in CI) where it cannot be had."""
    package = CACHE / f"axe-core-{VERSION}.tgz"
    if not package.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        npm = [needs("npm"), "pack", f"axe-core@{VERSION}", "--ignore-scripts", "--silent"]
        fetched = subprocess.run(npm, cwd=CACHE, capture_output=True, text=True, timeout=120, check=False)
        if fetched.returncode != 0:
            missing(f"npm cannot fetch axe-core: {fetched.stderr.strip()[-200:]}")
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    assert digest == SHA512, "axe-core is not the package whose digest is written here"
    with tarfile.open(package) as tar:
        return tar.extractfile("package/axe.min.js").read().decode()


def complaints(page, source):
    """Return what axe finds wrong on a page, serious things only, each with its place."""
    page.evaluate(f"{source}\n;0")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
