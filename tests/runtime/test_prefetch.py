"""A background iterable: order, errors, bounds, clean ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from understudy.runtime.prefetch import ahead


def test_order_is_kept() -> None:
    with ahead(range(100), 3) as numbers:
        assert list(numbers) == list(range(100))


def test_an_error_arrives_where_its_item_would_have() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    seen = []

    def consume() -> None:
        with ahead(broken(), 2) as numbers:
            for number in numbers:
                seen.append(number)

    with pytest.raises(ValueError, match="third"):
        consume()
    assert seen == [1, 2]


def test_never_further_ahead_than_asked() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with ahead(source(), 4) as numbers:
        for number in numbers:
            time.sleep(0.002)
            # The queue holds 4, one more waits in the producer's hand, one is ours.
            assert len(made) <= number + 6
    assert made == list(range(50))


def test_leaving_early_closes_the_source_and_ends_the_thread() -> None:
    closed_in: list[str] = []

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed_in.append(threading.current_thread().name)

    threads = threading.active_count()
    with ahead(endless(), 2) as numbers:
        assert next(numbers) == 0
    assert closed_in == ["ahead"]
    assert threading.active_count() == threads


def test_chained_stages_end_together_when_the_last_fails() -> None:
    closed: list[str] = []

    def first() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append("first")

    def second(source: Iterator[int]) -> Iterator[int]:
        try:
            for number in source:
                yield number * 2
        finally:
            closed.append("second")

    def consume() -> None:
        with ahead(first(), 2) as raw, ahead(second(raw), 2) as doubled:
            for number in doubled:
                if number == 20:
                    raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        consume()
    assert closed == ["second", "first"]
    assert threading.active_count() == threads
