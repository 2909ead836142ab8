"""Masking: what varies from event to event becomes ``<*>``, the wording stays.

Nothing here looks at *which* digit stands somewhere, only at whether one does. So two lines that differ in
their digits alone have the same masked text, and a line whose digits are all replaced by ``0`` is a sound
cache key for the original (see ``skeleton``).
"""

import re
from functools import lru_cache

HOLE = "<*>"

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
# Where hexadecimal digits are all made zeros: UUIDs, trace and span ids, digests, addresses. The pattern begins with
# a literal, which the regular expression engine finds ten times faster than any other beginning.
_HEX_ZEROS = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
_IDS = re.compile(rb"0000000(?:0-0000-0000-0000-0{12}(?![0-9A-Za-z])|0*+(?![0-9A-Za-z]))")
_NUMBER = re.compile(rb"00+")
_LONG = re.compile(rb"00000000+")
# An escape of JSON is a letter, whatever digits it is written with; a pair of backslashes begins none.
_ESCAPE = re.compile(rb"(\\(?:\\|u[0-9a-fA-F]{4}))")
_ID = b"0000000"  # seven, so that the result is its own image, and is never taken for a short code
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
# Dates in words: "Sat May 04 07:00:00 CST 2013", "Sat, 29 Sep 2018 05:01:09 GMT", "23/Nov/2026", "Jun 23".
_DATE = re.compile(
    rf"(?<![A-Za-z])(?:{_DAY},?\ +)?"
    rf"(?:{_MONTH}[ /-]+[0-9]{{1,2}}(?![0-9])|[0-9]{{1,2}}[ /-]{_MONTH}(?![A-Za-z])(?:[ /-][0-9]{{4}})?)"
    r"(?:,?[ :]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)?"
    r"(?:\ +(?:[A-Z]{3,4}|[+-][0-9]{4})(?=[ \])]|$))?(?:\ +[0-9]{4}(?![0-9]))?"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATED = re.compile("|".join(_MONTHS).encode())
_HEADER = 48  # bytes; time stamps and priorities, which are told by the number of their digits, are over by then
# A run of words and joiners that holds a digit. Possessive: a run without one is looked at once.
_RUN = re.compile(r"(?<![0-9A-Za-z_\-.:+,])[A-Za-z_\-.:+,]*+[0-9][0-9A-Za-z_\-.:+,]*+")
_PIECE = re.compile(r"([0-9A-Za-z]+)")
_DIGIT = re.compile(r"[0-9]")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_SIGN = re.compile(r"(?<![0-9A-Za-z>])[-+]+<\*>")
_REPEAT = re.compile(r"<\*>(?:(?:,? |[/%#@])<\*>)+")


def skeleton(data: bytes) -> bytes:
    """Return ``data`` with every digit made ``0``, of the same length: equal skeletons have equal masks.

    The digits of an escape of JSON (``_ESCAPE``) are kept: they say which letter it is.
    """
    return same_digits(data, _ZEROS)


def same_digits(data: bytes, table: bytes) -> bytes:
    """Translate ``data``, but for the escapes of JSON in it."""
    if b"\\u" not in data:
        return data.translate(table)
    pieces = _ESCAPE.split(data)
    pieces[::2] = [piece.translate(table) for piece in pieces[::2]]
    return b"".join(pieces)


def plain_ids(data: bytes) -> bytes:
    """Return ``data`` with hexadecimal identifiers of seven digits or more made one and the same.

    They would be masked anyway, but each makes a skeleton of its own. A word of letters alone is no identifier.
    """
    pieces: list[bytes] = []
    end = 0
    for found in _IDS.finditer(data.translate(_HEX_ZEROS)):
        start, stop = found.span()
        if (start and data[start - 1 : start].isalnum()) or data[start:stop].isalpha():
            continue
        pieces += (data[end:start], _ID)
        end = stop
    return b"".join((*pieces, data[end:]))


def short_numbers(names: bytes) -> bytes:
    """Return skeletons with long numbers as short as ``plain_ids`` makes them, and identifiers left as they are."""
    return _LONG.sub(_ID, names)


def shape_of(name: bytes) -> bytes:
    """Return a skeleton with the lengths of its numbers gone as well, b"" where lengths may matter to its mask.

    They matter to what stands at the beginning (``_HEADER``), to dates in words and to escapes of JSON.
    """
    rest = name[_HEADER:]
    if b"\\u" in rest or _DATED.search(rest):
        return b""
    return name[:_HEADER] + _NUMBER.sub(b"0", rest)


def clean(text: str) -> str:
    """Return ``text`` on one line: ANSI sequences dropped, runs of blanks and control characters one blank."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "  " in text or not text.isprintable():
        text = _BLANKS.sub(" ", text)
    return text.strip()


def mask(text: str) -> str:
    """Return clean ``text`` with its variable parts as ``<*>``.

    A word that holds a digit is masked; joiners (``_ - . : + ,``) between two masked words go with them, so a
    time, an address or a UUID ends as one hole; a word of hexadecimal letters joined to a masked one is masked
    too. Letters on their own are kept: ``cart.go:209`` becomes ``cart.go:<*>``.
    """
    # The tests before each pattern are for speed alone: most lines need one pattern of the four.
    if any(month in text for month in _MONTHS):
        text = _DATE.sub("0", text)
    text = _RUN.sub(_mask_found, text)
    if f"-{HOLE}" in text or f"+{HOLE}" in text:
        text = _SIGN.sub(HOLE, text)
    return _REPEAT.sub(HOLE, text) if text.count(HOLE) > 1 else text


def _mask_found(found: re.Match[str]) -> str:
    return _mask_run(found.group())


@lru_cache(maxsize=8192)
def _mask_run(run: str) -> str:
    """Mask one run of joined words: even pieces are joiners, odd pieces are words."""
    pieces = _PIECE.split(run)
    masked = [bool(_DIGIT.search(piece)) for piece in pieces]
    words = range(1, len(pieces), 2)
    for order in (words, reversed(words)):  # hexadecimal neighbours, spreading to both sides
        near = False
        for index in order:
            if not masked[index] and near and _HEX.match(pieces[index]):
                masked[index] = True
            near = masked[index]
    out = [pieces[0]]
    for index in words:
        if not masked[index]:
            out += [pieces[index], pieces[index + 1]]
            continue
        if out[-1] != HOLE:
            out.append(HOLE)
        joined = index + 2 < len(pieces) and masked[index + 2]
        if not joined:
            out.append(pieces[index + 1])
    return "".join(out)
