"""Hostile text made safe to show to a person, in a terminal and in Markdown.

Logs, events, names and a model's words are written by others. Shown, they may not move the cursor, hide or reorder
characters, open a link, call somebody by name or break out of their place. HTML is escaped by its templates.
"""

import re
import unicodedata

# Letters and marks that leave no trace on the screen, though Unicode counts them as printable: fillers, blanks,
# joiners and variation selectors.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_COMBINING = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_HEAP = re.compile(f"({_COMBINING}{{3}}){_COMBINING}+")
_BACKTICKS = re.compile("`+")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$&])")
_AT_START = re.compile(r"^( ?)(?: *)([-+=](?=[\s=-]|$)|[0-9]{1,9}(?=[.)](?:\s|$))|)")
# Text that a forge turns into a link or a call by itself, unless a code span parts it.
_CALL = re.compile(r"(?:@|\\#)(?=\w)")
_ADDRESS = re.compile(r"(?i)://|www\.|(?:mailto|xmpp):")


def visible(text: str, *, limit: int = 500, lines: bool = False) -> str:
    r"""Return text in which every character can be seen, at most ``limit`` of them and a note of what was cut.

    Controls, bidirectional and zero-width marks, tags and the like become ``\x1b`` or ``\u{202e}``. Line ends become
    ``⏎`` unless ``lines``; a heap of combining marks keeps three.
    """
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    if lines:
        text = text.replace("\r\n", "\n").replace("\t", "    ")
        text = "\n".join(map(_seen, text.split("\n")))
    else:
        pieces = text.replace("\t", " ").split("\n")
        text = _seen(pieces[0] if len(pieces) == 1 else " ⏎ ".join(piece.strip() for piece in pieces))
    return f"{text}… (+{cut} characters)" if cut > 0 else text


def _seen(line: str) -> str:
    if not line.isascii():
        line = _UNSEEN.sub(lambda match: _escape(match[0]), _HEAP.sub(r"\1", line))
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _escape(char) for char in line)


def _escape(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Zs":
        return " "  # a blank of another width
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def code_span(text: str, *, limit: int = 200, cell: bool = False) -> str:
    """Return the text as Markdown inline code that it cannot leave; ``cell`` inside a table."""
    shown = visible(text, limit=limit) or " "
    if cell:
        shown = shown.replace("\\|", "\\ |").replace("|", "\\|")  # a cell ends at any bar without a backslash
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(shown)), default=0))
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def code_block(text: str, *, limit: int = 4000) -> str:
    """Return the text as a Markdown fenced block that it cannot leave, its lines kept."""
    shown = visible(text, limit=limit, lines=True)
    fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def prose(text: str, *, limit: int = 1000) -> str:
    """Return the text as Markdown prose on one line without markup, links, calls by name or references."""
    shown = _MARKDOWN.sub(r"\\\1", visible(text, limit=limit))
    shown = _CALL.sub(lambda match: f"`{match[0][-1]}`", shown)
    shown = _ADDRESS.sub(lambda match: f"`{match[0]}`", shown)
    return _AT_START.sub(_at_start, shown)


def _at_start(match: "re.Match[str]") -> str:
    """Keep a line from starting a list or a block of code, or from underlining a heading."""
    blank, sign = match[1], match[2]
    if not sign:
        return blank
    return f"{blank}{sign}\\" if sign[0].isdigit() else f"{blank}\\{sign}"
