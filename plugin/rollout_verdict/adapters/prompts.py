"""The prompt files: found beside the package in a checkout, inside it in a wheel.

``prompts/`` holds one folder for each version (``v1``, ``v2``, …). A version that was released is not edited: a
recorded verdict names it, and its digest must find the same bytes again.
"""

import json
from hashlib import sha256
from pathlib import Path

from rollout_verdict.core.model.prompt import Templates

FILES = ("system.md", "examples.md", "evidence.md", "operator.md", "question.md", "reply.schema.json")
SINCE_V2 = ("memory.md", "more.md", "given.md")  # a version without them has nothing to say of these
PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Return the folder of all versions. Raises FileNotFoundError naming both places where it may be."""
    packaged, checkout = PACKAGE / "_prompts", PACKAGE.parent.parent / "prompts"
    for place in (packaged, checkout):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the prompt files are neither in {packaged} nor in {checkout}: reinstall the package")


def versions(root: Path | None = None) -> tuple[str, ...]:
    """Return the versions there are, oldest first."""
    found = (place.name for place in (root or folder()).iterdir() if place.name[:1] == "v")
    return tuple(f"v{n}" for n in sorted(int(name[1:]) for name in found if name[1:].isdigit()))


def load(version: str = "", root: Path | None = None) -> Templates:
    """Return the templates of a version, the newest when it is "".

    Raises ValueError for a version that is not there, FileNotFoundError for a missing file.
    """
    place = root or folder()
    known = versions(place)
    if not known or (version and version not in known):
        raise ValueError(f"prompt version {version!r} is not one of {', '.join(known) or '(none)'}")
    chosen = version or known[-1]
    later = [name for name in SINCE_V2 if chosen != "v1"]
    texts = {name: (place / chosen / name).read_text(encoding="utf-8") for name in (*FILES, *later)}
    digest = sha256()
    for name, text in texts.items():
        body = text.encode("utf-8")
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return Templates(
        version=chosen,
        digest=digest.hexdigest(),
        system=texts["system.md"],
        examples=texts["examples.md"],
        evidence=texts["evidence.md"],
        operator=texts["operator.md"],
        question=texts["question.md"],
        schema=json.loads(texts["reply.schema.json"]),
        memory=texts.get("memory.md", ""),
        more=texts.get("more.md", ""),
        given=texts.get("given.md", ""),
        schema_text=json.dumps(json.loads(texts["reply.schema.json"]), separators=(",", ":")),
    )
