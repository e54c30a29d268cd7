"""The service without HTTP: what it keeps open, what it remembers, and which thread does what.

The event loop only waits. Written queries are encoded in the batcher's thread, the index is asked in threads with
searchers of their own, and whatever decodes files or uploads has a small pool apart, so that slow files make no query
wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lookhear.errors import UserError
from lookhear.search.index import Source
from lookhear.serve.batching import Batcher
from lookhear.serve.files import Files, shown
from lookhear.serve.limits import Limits
from lookhear.serve.metrics import Metrics
from lookhear.serve.recent import Recent
from lookhear.serve.refusals import Refusal, public
from lookhear.serve.searchers import Searchers
from lookhear.serve.uploads import Uploads, decode

if TYPE_CHECKING:
    from lookhear.search.question import Part
    from lookhear.search.searcher import Searcher

__all__ = ["Service"]

T = TypeVar("T")
_PARTS = 512  # written queries whose vectors are remembered: the next page of hits asks for the same ones
_BYTES = 64 << 20  # of thumbnails and peaks
_KEPT = 300.0  # seconds for which what is told of the index as a whole is not made anew
_AGAIN = 2.0  # seconds for which the size of the index is not asked again


class Service:
    """An index, open for many.

    Args:
        searcher: of the index; its model is shared by all threads.
        open_searcher: another one of the same index and model, for a thread.
        limits: what may be asked of it.
        threads: that ask the index at one time.
        linked: folders that links of the archive may lead into, beside their own.

    Raises:
        UserError: the extra is not installed.
    """

    def __init__(
        self,
        searcher: Searcher,
        open_searcher: Callable[[], Searcher],
        limits: Limits | None = None,
        threads: int = 2,
        linked: Sequence[Path] = (),
    ) -> None:
        self.limits = limits or Limits()
        self.title = shown(Path(searcher.index.path).name)
        self.model = searcher.model
        self.model.eval()  # here, once: a tower that changed its mode while threads share it would drop out at random
        self._searcher = searcher
        self._rows, self._asked = len(searcher.index), time.monotonic()
        self.uploads = Uploads(self.limits.uploads, self.limits.upload_minutes)
        self.metrics = Metrics(lambda: self._rows, lambda: len(self.uploads))
        self._searchers = Searchers(open_searcher, threads)
        self._batcher: Batcher[Part] = Batcher(
            searcher.parts, self.limits.batch, self.limits.window, self.metrics.passed
        )
        self._parts: OrderedDict[str, Part] = OrderedDict()
        self._files = Files(linked)
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="decoding")
        self._uploading = ThreadPoolExecutor(1, thread_name_prefix="uploads")
        self._made = Recent(_BYTES)
        self._kept: dict[str, tuple[int, float, Any]] = {}  # what is told of the whole index; of how many rows, when
        self._keeping: dict[str, asyncio.Lock] = {}

    def close(self) -> None:
        """Ends all threads when they are done."""
        self._batcher.close()
        self._searchers.close()
        for pool in (self._decoding, self._uploading):
            pool.shutdown(wait=True, cancel_futures=True)
        self._searcher.index.close()

    # The index ---------------------------------------------------------------------------------------------------

    async def ask(self, what: Callable[[Searcher], T]) -> T:
        """What a function finds out with a searcher.

        Raises:
            Refusal: 422, for a ``UserError`` of the searcher, without paths of the index.
        """
        try:
            return await self._searchers.ask(what)
        except UserError as e:
            raise public(e, {str(self._searcher.index.path): self.title}) from None

    async def rows(self) -> int:
        """How many rows the index has, as of a moment ago."""
        if time.monotonic() - self._asked > _AGAIN:
            self._asked = time.monotonic()
            self._rows = await self.ask(lambda s: len(s.index))
        return self._rows

    async def of_index(self, name: str, make: Callable[[Searcher], T]) -> T:
        """What is told of the index as a whole: made anew when its size has changed, or some minutes have passed."""
        rows = await self.rows()
        async with self._keeping.setdefault(name, asyncio.Lock()):  # one at a time: the others take what it made
            kept = self._kept.get(name)
            if kept is None or kept[0] != rows or time.monotonic() - kept[1] > _KEPT:
                kept = self._kept[name] = (rows, time.monotonic(), await self.ask(make))
        found: T = kept[2]
        return found

    async def source(self, number: int) -> Source:
        """What the index knows about a file.

        Raises:
            Refusal: 404, no such number.
        """
        try:
            return await self._searchers.ask(lambda s: s.index.source(number))
        except UserError:
            raise Refusal(404, f"no file {number} in this index", "Search again: the index may have changed.") from None

    async def opened(self, number: int, modality: str | None = None) -> tuple[Source, Path]:
        """A file of the index and where its content lies.

        Raises:
            Refusal: as ``source`` and ``Files.path``; 404 where it is of another modality.
        """
        source = await self.source(number)
        if modality is not None and source.modality != modality:
            kind = "recording" if modality == "audio" else "picture"
            raise Refusal(404, f"file {number} is no {kind}", "Ask for one that is.")
        return source, await self.decoding(lambda: self._files.path(source))

    # What is asked -----------------------------------------------------------------------------------------------

    async def text(self, text: str) -> Part:
        """The part of a search that a text is, encoded beside those of others.

        Raises:
            Refusal: 422, the encoder can make nothing of it.
        """
        part = self._parts.get(text)
        if part is None:
            self.metrics.queries.inc()
            try:
                part = await asyncio.wrap_future(self._batcher.submit(text))
            except UserError as e:
                raise public(e) from None
        self._parts[text] = part
        self._parts.move_to_end(text)
        if len(self._parts) > _PARTS:
            self._parts.popitem(last=False)
        return part

    async def upload(self, data: bytes, name: str) -> Any:
        """A file that was sent, as something to search with; only its vectors are kept.

        Raises:
            Refusal: as ``decode``; 422, this model cannot hear or see.
        """

        def embed() -> Any:
            sent = decode(data, name, self.limits)
            asked: dict[str, Any] = {sent.modality: sent.content}
            return sent, self._searcher.part(**asked)

        try:
            sent, part = await asyncio.get_running_loop().run_in_executor(self._uploading, embed)
        except UserError as e:
            raise public(e) from None
        return self.uploads.add(part, sent.modality, name, sent.seconds)

    # Files -------------------------------------------------------------------------------------------------------

    async def decoding(self, what: Callable[[], T]) -> T:
        """Something that reads or decodes files, in its own small pool."""
        return await asyncio.get_running_loop().run_in_executor(self._decoding, what)

    async def made(
        self, source: Source, path: Path, key: tuple[Any, ...], make: Callable[[threading.Event], bytes]
    ) -> bytes:
        """Bytes made from a file of the index, or those that were made lately.

        Args:
            key: what they depend on beside the file's content.
            make: makes them; the event is set when nobody waits for them any more.

        Raises:
            Refusal: 415, the file cannot be decoded (any more); told without its path.
        """
        whole = (source.hash, *key)
        found = self._made.get(whole)
        if found is None:
            gone = threading.Event()
            try:
                found = await self.decoding(lambda: make(gone))
            except UserError as e:
                raise public(e, {str(path): shown(Path(source.path).name)}, status=415) from None
            finally:
                gone.set()
            self._made.put(whole, found)
        return found
