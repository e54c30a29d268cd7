"""A file sent by a form, read into memory and never onto the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookhear.serve.files import shown
from lookhear.serve.refusals import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["sent_file"]

_NAME = 200  # characters of a name that are kept


async def sent_file(request: Request) -> tuple[str, bytes]:
    """Name and content of the one file of a multipart form; its size was bounded before (``Bounds``).

    Raises:
        Refusal: 415, no such form; 422, a broken one, or one without the field ``file``.
    """
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    class InMemory(MultiPartParser):
        spool_max_size = 0  # of a temporary file: never written out

    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refusal(415, "an upload that is no form", "Send multipart/form-data with one field, file.")
    try:
        form = await InMemory(request.headers, request.stream(), max_files=1, max_fields=4, max_part_size=1024).parse()
    except MultiPartException as e:
        raise Refusal(422, f"a broken form ({e.message.rstrip('.')})", "Send one field, file.") from None
    try:
        sent = form.get("file")
        if not isinstance(sent, UploadFile):
            raise Refusal(422, "no file in the form", "Send one field, file.")
        name = shown(sent.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
        return "".join(c for c in name if c.isprintable())[-_NAME:] or "upload", await sent.read()
    finally:
        await form.close()
