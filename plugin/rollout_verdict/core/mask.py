"""Masking: what varies from event to event becomes ``<*>``, the wording stays.

Nothing here looks at *which* digit stands somewhere, only at whether one does. So two lines that differ in
their digits alone have the same masked text, and a line whose digits are all replaced by ``0`` is a sound
cache key for the original (see ``skeleton``).
"""

import re

HOLE = "<*>"

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
# Hexadecimal identifiers with at least one digit: UUIDs, trace and span ids, digests, addresses.
_IDS = re.compile(
    rb"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    rb"|(?=[a-fA-F]*[0-9])[0-9a-fA-F]{7,})(?![0-9A-Za-z])"
)
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
# A run of words and joiners; only runs with a digit are looked at.
_RUN = re.compile(r"[A-Za-z_\-.:+,]*[0-9][0-9A-Za-z_\-.:+,]*")
_PIECE = re.compile(r"([0-9A-Za-z]+)")
_DIGIT = re.compile(r"[0-9]")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_SIGN = re.compile(r"(?<![0-9A-Za-z>])[-+]+<\*>")
_REPEAT = re.compile(r"<\*>(?:(?:,? |[/%#@])<\*>)+")


def skeleton(data: bytes) -> bytes:
    """Return ``data`` with every digit made ``0``: equal skeletons have equal masks."""
    return data.translate(_ZEROS)


def plain_ids(data: bytes) -> bytes:
    """Return ``data`` with hexadecimal identifiers made seven zeros: they are masked anyway, but split cache keys.

    Seven, so that the result is its own image and is never taken for a short code.
    """
    return _IDS.sub(b"0000000", data)


def clean(text: str) -> str:
    """Return ``text`` on one line: ANSI sequences dropped, runs of blanks and control characters one blank."""
    return _BLANKS.sub(" ", _ANSI.sub("", text)).strip()


def mask(text: str) -> str:
    """Return clean ``text`` with its variable parts as ``<*>``.

    A word that holds a digit is masked; joiners (``_ - . : + ,``) between two masked words go with them, so a
    time, an address or a UUID ends as one hole; a word of hexadecimal letters joined to a masked one is masked
    too. Letters on their own are kept: ``cart.go:209`` becomes ``cart.go:<*>``.
    """
    dated = _DATE.sub("0", text)
    return _REPEAT.sub(HOLE, _SIGN.sub(HOLE, _RUN.sub(_mask_run, dated)))


def _mask_run(found: re.Match[str]) -> str:
    """Mask one run of joined words: even pieces are joiners, odd pieces are words."""
    pieces = _PIECE.split(found.group())
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
        if out[-1:] == [HOLE]:
            pass
        else:
            out.append(HOLE)
        joined = index + 2 < len(pieces) and masked[index + 2]
        if not joined:
            out.append(pieces[index + 1])
    return "".join(out)
