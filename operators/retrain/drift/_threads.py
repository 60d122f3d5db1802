"""Keep small matrices and small trees to one thread."""

from typing import Any


def one_thread() -> Any:
    """Return a context in which BLAS and OpenMP use one thread.

    On a few thousand rows several threads mostly burn CPU as they wait for each other, most of all on a busy machine.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
