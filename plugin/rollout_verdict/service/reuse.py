"""Start-or-get for callers that have no id of their own: they name a canary and mean its newest analysis."""

import json
from collections import OrderedDict
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from threading import Lock
from uuid import uuid4

from rollout_verdict.jobs.analysis import Analysis, Page, Phase, Query, Request
from rollout_verdict.service.problems import UnusableError
from rollout_verdict.service.services import Services

MOST_KEPT = 10_000  # keys whose newest analysis is remembered; each is some 150 bytes
FAILED_S = 60.0  # one that failed, or was cancelled, is told for so long; then it is tried again: it may be mended
STEPS = 20  # from an analysis to the one after it, when there was one already
_PREFIX = 32
LOOKED_AT = 50  # of a rollout's newest analyses, for one of the key


class Reuse:
    """Finds the analysis that a key stands for, or starts one. Safe to use from many threads.

    What is remembered here only saves a search: any replica, and a fresh process, finds the same analysis.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._newest: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def start(self, request: Request, *parts: str, fresh_s: float) -> tuple[Analysis, bool]:
        """Return the newest analysis of that key, a new one when there is none or its end is ``fresh_s`` ago.

        ``parts``, with namespace, name, configuration and door of the request, are the key; the request's id is not
        used. One that failed or was cancelled is told for a minute: trying at once would hardly end better. Raises
        UnusableError when somebody has taken the id for something else: its verdict is not this canary's.
        """
        key = _key(request, parts)
        newest, new, steps = self._find(key, request, fresh_s), False, 0
        while newest is None or not (new or self._fresh(newest, fresh_s)):
            # The id follows from the analysis before it, so that two replicas that find the same one start the same
            # one. The last is like no other, and so new: what so many steps did not find stands in nobody's way.
            before = newest.request.id if newest is not None else ""
            after = before if steps < STEPS else uuid4().hex
            newest, new = self._services.analyses.start(replace(request, id=key + _hash(after)[:_PREFIX]))
            if _what(newest.request) != _what(request):  # ids can be worked out, and the plugin's door takes any
                raise UnusableError("the id of this analysis was taken by another one: there is no verdict to tell of")
            steps += 1
        self._remember(key, newest.request.id)
        return newest, new

    def _fresh(self, analysis: Analysis, fresh_s: float) -> bool:
        if not analysis.phase.final:
            return True
        ended = analysis.finished or analysis.created
        most = fresh_s if analysis.phase is Phase.DONE else min(fresh_s, FAILED_S)
        return self._services.clock() - ended < timedelta(seconds=most)

    def _find(self, key: str, request: Request, fresh_s: float) -> Analysis | None:
        """Return the newest analysis of that key that can be found; it may be old, and another come after it."""
        with self._lock:
            known = self._newest.get(key)
        kept = self._services.analyses.get(known) if known is not None else None
        if kept is not None and self._fresh(kept, fresh_s):
            return kept
        found = (one for one in self._page(request).analyses if one.request.id.startswith(key))
        return next(found, kept)

    def _page(self, request: Request) -> Page:
        query = Query(namespaces=(request.namespace,), name=request.name, origin=request.origin, limit=LOOKED_AT)
        return self._services.analyses.find(query)

    def _remember(self, key: str, analysis_id: str) -> None:
        with self._lock:
            self._newest[key] = analysis_id
            self._newest.move_to_end(key)
            while len(self._newest) > MOST_KEPT:
                self._newest.popitem(last=False)


def _what(request: Request) -> tuple[object, ...]:
    return request.origin, request.namespace, request.name, request.target


def _key(request: Request, parts: tuple[str, ...]) -> str:
    told = [request.origin, request.namespace, request.name, dict(request.config), *parts]
    return _hash(json.dumps(told, sort_keys=True))[:_PREFIX]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
