"""Text from outside made harmless to read: bounded, on one line, with nothing hidden in it.

Evidence is written by the software under test, and a model's reply by the model. Neither may carry control
characters, zero-width or bidirectional marks, or anything that looks like one of our own delimiters.
"""

import json
import re

# Characters that a reader does not see, or that change how their neighbours are seen: controls, soft hyphen, joiners,
# zero-width and bidi marks, line separators, blank letters, variation selectors, surrogates, private use, tags.
# Written out, not asked of unicodedata, whose answer depends on the Python version.
_HIDDEN_RANGES = (
    ("\x00", "\x1f"),
    ("\x7f", "\x9f"),
    ("\u00ad", "\u00ad"),
    ("\u034f", "\u034f"),
    ("\u0600", "\u0605"),
    ("\u061c", "\u061c"),
    ("\u06dd", "\u06dd"),
    ("\u070f", "\u070f"),
    ("\u0890", "\u0891"),
    ("\u08e2", "\u08e2"),
    ("\u115f", "\u1160"),
    ("\u17b4", "\u17b5"),
    ("\u180b", "\u180f"),
    ("\u200b", "\u200f"),
    ("\u2028", "\u202e"),
    ("\u2060", "\u206f"),
    ("\u2800", "\u2800"),
    ("\u3164", "\u3164"),
    ("\ud800", "\uf8ff"),
    ("\ufe00", "\ufe0f"),
    ("\ufeff", "\ufeff"),
    ("\uffa0", "\uffa0"),
    ("\ufff0", "\ufffb"),
    ("\U000110bd", "\U000110bd"),
    ("\U000110cd", "\U000110cd"),
    ("\U00013430", "\U0001345f"),
    ("\U0001bca0", "\U0001bca3"),
    ("\U0001d173", "\U0001d17a"),
    ("\U000e0000", "\U0010ffff"),
)
_CLASS = "".join(f"{low}-{high}" for low, high in _HIDDEN_RANGES)
_HIDDEN_RUN = re.compile(f"[{_CLASS}]+")
_SHOWN_OF_RUN = 4  # enough to see what was hidden; a run of thousands must not grow sixfold
_SLACK = 20  # characters: a note of what was cut is as long
_TAG = re.compile(r"<(?=[/!?A-Za-z])")  # opens a tag; the "<*>" of a template does not
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://\S+|\bwww\.\S+")
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")


def quoted(text: str, limit: int) -> str:
    """Return ``text`` as one JSON string on one line, ``limit`` characters of it and a few more where little is left.

    Hidden characters become visible JSON escapes (the first few of a run, then their number), an opening angle
    bracket of a tag becomes its escape. What was cut is told in characters.
    """
    cut = len(text) - limit if len(text) > limit + _SLACK else 0
    encoded = json.dumps(text[:limit] if cut else text, ensure_ascii=False)
    shown = _TAG.sub(r"\\u003c", _HIDDEN_RUN.sub(_escaped, encoded))
    return f'{shown[:-1]}…(+{cut} chars)"' if cut > 0 else shown


def plain(text: str, limit: int) -> str:
    """Return ``text`` on one line without hidden characters and links, at most ``limit`` characters with "…"."""
    visible = _HIDDEN_RUN.sub(" ", text[: 4 * limit])
    unlinked = _URL.sub("(link removed)", _MARKDOWN_LINK.sub(r"\1", visible))
    line = " ".join(unlinked.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def number(value: float) -> str:
    """Return a number with four significant digits, whole numbers below a million in full."""
    if abs(value) < 1e6 and value == int(value):
        return str(int(value))
    return f"{value:.4g}"


def estimated_tokens(*texts: str) -> int:
    """Return a conservative token count, UTF-8 bytes / 3: tokenizers average 4 on prose and 3 on ids and numbers."""
    return -(-sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // 3)


def _escaped(run: re.Match[str]) -> str:
    """Return the JSON escapes of a run of hidden characters."""
    hidden = run[0]
    shown = json.dumps(hidden[:_SHOWN_OF_RUN])[1:-1].replace("\x7f", "\\u007f")
    more = len(hidden) - _SHOWN_OF_RUN
    return f"{shown}(+{more} hidden)" if more > 0 else shown
