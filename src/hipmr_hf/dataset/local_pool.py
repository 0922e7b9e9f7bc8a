"""Call functions in this process, or in other processes that end when this one is killed."""

import collections
import contextlib
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InputValueError, LostWorkerError

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

# Calls that wait for each process, so that none is idle while the next result in order is awaited.
_AHEAD = 4


class LocalPool:
    """Calls functions on what it was told and one argument more; see `pool.Pool`.

    Args:
        num_proc: processes; with 1 there is none but this.
        with_key: what it will be told holds a key, which only forked processes have already.

    Raises:
        InputValueError: this system cannot fork, and there is a key; or num_proc is below 1.

    Example:

        >>> pool = LocalPool(2)
        >>> pool.put(10)
        >>> list(pool.map(max, [3, 12, 7]))
        [10, 12, 10]
        >>> pool.close()
    """

    def __init__(self, num_proc: int = 1, *, with_key: bool = False) -> None:
        if num_proc < 1:
            raise InputValueError(f"num_proc: got {num_proc}, allowed are whole numbers from 1.")
        self._told: Any = None
        self._executor = None if num_proc == 1 else _executor(num_proc, with_key)
        self._limit = _AHEAD * num_proc

    def put(self, told: Any) -> None:
        """Tell what every call gets as its first argument."""
        self._told = told

    def map(self, function: Callable[[Any, Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Yield results in order; arguments are taken as calls are made, not all at once.

        Raises:
            LostWorkerError: a process was killed, by whomever.
        """
        call = functools.partial(function, self._told)
        if self._executor is None:
            yield from map(call, arguments)
            return
        from concurrent.futures.process import BrokenProcessPool

        running: collections.deque[Future] = collections.deque()
        arguments = iter(arguments)
        try:
            while True:
                for argument in itertools.islice(arguments, self._limit - len(running)):
                    running.append(self._executor.submit(call, argument))
                if not running:
                    return
                yield running.popleft().result()
        except BrokenProcessPool as error:
            raise LostWorkerError(
                "num_proc: a worker process was killed, as systems do when memory runs out. The same command "
                "goes on where it stopped; a smaller num_proc needs less memory."
            ) from error

    def close(self) -> None:
        """End the processes; what has not begun is left."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def _executor(num_proc: int, with_key: bool) -> "ProcessPoolExecutor":
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_all_start_methods, get_context

    forked = "fork" in get_all_start_methods()
    if with_key and not forked:
        raise InputValueError(
            f"num_proc: got {num_proc} with a key, but this system cannot fork and a key is never sent to "
            "another process; leave num_proc out."
        )
    context = get_context("fork" if forked else "spawn")
    executor = ProcessPoolExecutor(num_proc, context, initializer=_end_with_parent, initargs=(os.getpid(),))
    # All workers start now, while this process has no thread that a fork could cut in two.
    with contextlib.suppress(BrokenProcessPool):  # the first real call says so
        list(executor.map(abs, range(num_proc)))
    return executor


def _end_with_parent(parent: int) -> None:
    """Watch for the parent's death: a killed one cannot tell its workers, and they would wait for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
