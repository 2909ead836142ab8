"""The OpenAPI description of the service, as it stands in ``docs/openapi.json``.

    PYTHONPATH=plugin python -m tests.openapi_docs

writes it. The test beside it fails when the routes and the file have come apart.
"""

import json
import sys
import tempfile
from pathlib import Path

from rollout_verdict.service.app import create_app, describe
from tests.conftest import ROOT

FILE = ROOT / "docs" / "openapi.json"


def description() -> str:
    from tests.service.conftest import make_services

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(make_services(Path(folder)))
    return json.dumps(describe(app), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(description())
    sys.stdout.write(f"{FILE}\n")
