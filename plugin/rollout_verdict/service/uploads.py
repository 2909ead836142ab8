"""Bundles that come over the wire: one at a time into memory for each of a few places, bounded and timed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import Query
from fastapi import Request as HttpRequest
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from rollout_verdict.adapters.bundle import BundleError
from rollout_verdict.core.values import RolloutRef
from rollout_verdict.jobs.analysis import Request
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.problems import InvalidError, UnavailableError, UnusableError
from rollout_verdict.service.requests import demand_namespaces
from rollout_verdict.service.schemas import Namespace
from rollout_verdict.service.services import Services

RAW = frozenset({"application/gzip", "application/x-gzip", "application/x-tar", "application/octet-stream"})
FORM = "multipart/form-data"
_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Named:
    """Whose an uploaded bundle is, as far as the caller says."""

    namespace: Annotated[Namespace | None, Query(description="Namespace of an uploaded bundle.")] = None
    name: Annotated[
        str,
        Query(
            max_length=253,
            pattern=r"^[\w. -]*$",
            description="Rollout of an uploaded bundle; by default the one it names.",
        ),
    ] = ""


NAMED: TypeAdapter[Named] = TypeAdapter(Named)


class Uploads:
    """Takes bundles and hands them to the store."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._places = asyncio.Semaphore(services.settings.uploads)

    def takes(self, kind: str) -> bool:
        """Whether a content type may hold a bundle."""
        return kind in RAW or kind == FORM

    async def request(
        self, http: HttpRequest, principal: Principal, named: Named, analysis_id: str, *, origin: str = "api"
    ) -> Request:
        """Keep the bundle in a request and return what is to be judged.

        Raises InvalidError, UnusableError (no bundle), ForbiddenError: who is bound to namespaces must name one;
        UnavailableError when all places are taken for long.
        """
        namespace = named.namespace or ""
        if principal.namespaces is not None or namespace:
            demand_namespaces(principal, namespace)
        async with self._place():
            content, file_name = await self._content(http)
            try:
                upload = await run_in_threadpool(self._services.analyses.keep_upload, content)
            except BundleError as error:
                raise UnusableError(f"this is not a bundle: {error}"[:500]) from None
        whose = _whose(named, upload.rollout) or Named(named.namespace, named.name or file_name)
        return Request(
            id=analysis_id,
            namespace=whose.namespace or "",
            name=whose.name,
            upload=upload.key,
            origin=origin,
            asked_by=principal.name,
        )

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._services.settings.upload_timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise UnavailableError("too many bundles are being uploaded: try again in a minute", 60) from None
        try:
            yield
        finally:
            self._places.release()

    async def _content(self, http: HttpRequest) -> tuple[bytes, str]:
        if not http.headers.get("content-type", "").lower().startswith(FORM):
            return await http.body(), ""
        try:
            async with http.form(max_files=1, max_fields=_FIELDS) as form:
                file = form.get("bundle")
                if not isinstance(file, UploadFile):
                    raise UnusableError("the form needs a file in its field 'bundle'")
                return await file.read(), _stem(file.filename or "")
        except (MultiPartException, HTTPException) as error:
            if isinstance(error, HTTPException) and error.status_code != 400:
                raise
            raise InvalidError("the form cannot be read") from None


def _whose(named: Named, rollout: RolloutRef | None) -> Named | None:
    """Return the rollout that a bundle names, None where the caller's word goes before, or it is no name.

    A bundle may claim any rollout. So one of another namespace than the caller's does not count: who is bound to
    namespaces has named one of theirs, and files nothing elsewhere, whatever stands in the bundle.
    """
    if named.name or rollout is None or (named.namespace and rollout.namespace not in ("", named.namespace)):
        return None
    try:
        namespace = named.namespace or rollout.namespace or None
        return NAMED.validate_python({"namespace": namespace, "name": rollout.name})
    except ValidationError:
        return None


def _stem(file_name: str) -> str:
    """Return a file's name without its folders and endings, as far as it may be a rollout's name."""
    stem = PurePosixPath(file_name.replace("\\", "/")).name
    for ending in (".gz", ".tar", ".tgz"):
        stem = stem.removesuffix(ending)
    return "".join(c for c in stem if c.isascii() and (c.isalnum() or c in "-._"))[:253]
