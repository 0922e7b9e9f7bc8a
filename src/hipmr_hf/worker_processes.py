"""Call a function in this process, or in other processes that end when this one is killed."""

import contextlib
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context
from typing import Any

Workers = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Called with a function and its arguments; yields results, from other processes as they come."""


@contextlib.contextmanager
def worker_processes(num_proc: int, *, with_key: bool) -> Iterator[Workers]:
    """Give what calls a function on many arguments, of which it takes no more than it can work on.

    Args:
        num_proc: processes; with 1 there is none but this.
        with_key: an argument holds a key, which only forked processes have already.

    Raises:
        ChildProcessError: a process was killed, by whomever.
        ValueError: this system cannot fork, and there is a key.

    Example:

        >>> with worker_processes(2, with_key=False) as workers:
        ...     sorted(workers(abs, [-3, 1, -2]))
        [1, 2, 3]
    """
    if num_proc == 1:
        yield map
        return
    forked = "fork" in get_all_start_methods()
    if with_key and not forked:
        raise ValueError(
            f"num_proc: got {num_proc} with a key, but this system cannot fork and a key is never sent to "
            "another process; leave num_proc out."
        )
    context = get_context("fork" if forked else "spawn")
    pool = ProcessPoolExecutor(num_proc, context, initializer=_end_with_parent, initargs=(os.getpid(),))
    try:
        # All workers start now, while this process has no thread that a fork could cut in two.
        list(pool.map(abs, range(num_proc)))
        yield functools.partial(_in_pool, pool, num_proc + 1)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "num_proc: a worker process was killed, as systems do when memory runs out. The same command "
            "goes on where it stopped; a smaller num_proc needs less memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent(parent: int) -> None:
    """Watch for the parent's death: a killed one cannot tell its workers, and they would wait for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_pool(
    pool: ProcessPoolExecutor, limit: int, function: Callable[[Any], Any], arguments: Iterable[Any]
) -> Iterator[Any]:
    """Keep `limit` calls in the pool, not all: each holds its source pictures."""
    arguments, running = iter(arguments), set()
    while True:
        for argument in itertools.islice(arguments, limit - len(running)):
            running.add(pool.submit(function, argument))
        if not running:
            return
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()
