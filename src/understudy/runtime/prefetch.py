"""Let a slow iterable run ahead of its consumer in a separate thread, within bounds.

Decoding, the network and encoding each spend their time outside of Python's global lock, so
chained `ahead`s overlap them; the bounded queues between them keep memory flat.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05
"""How often a waiting producer checks whether it is still needed."""


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None


@contextmanager
def ahead(source: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """Iterate `source` in a thread, at most `depth` items ahead of the consumer.

    Order is kept. An error in `source` reaches the consumer where its next item would have
    come. On leaving the block, finished or not, the thread has ended and `source`, when it is a
    generator, was closed in that thread.
    """
    items: queue.Queue[_Item[T] | _End] = queue.Queue(maxsize=depth)
    unwanted = threading.Event()

    def put(item: _Item[T] | _End) -> bool:
        while not unwanted.is_set():
            try:
                items.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        error: BaseException | None = None
        iterator = iter(source)
        try:
            for value in iterator:
                if not put(_Item(value)):
                    break
        except BaseException as caught:  # noqa: BLE001 - handed on to the consumer whole
            error = caught
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        put(_End(error))

    def consume() -> Iterator[T]:
        while isinstance(item := items.get(), _Item):
            yield item.value
        if item.error is not None:
            raise item.error

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        unwanted.set()
        thread.join()
