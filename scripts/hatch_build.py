"""Puts the compiled pass over logs into the wheel, where it can be compiled; any other wheel is pure Python."""

import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))
from compile import NAME, compile_to


class CompiledPass(BuildHookInterface):
    """The build hook of pyproject.toml."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say of the wheel what it then is."""
        if version == "editable":
            return  # scripts/compile.py does it beside the source
        self._folder = tempfile.TemporaryDirectory()
        target = Path(self._folder.name) / NAME
        if problem := compile_to(target):
            self.app.display_warning(f"a wheel of pure Python: {problem}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"
        build_data["force_include"][str(target)] = f"rollout_verdict/core/reduction/{NAME}"
