"""Threads for blocking looks, so many at most: in all, and for each store.

Airflow's triggerer is one event loop. `asyncio.to_thread` would share its few threads with every other trigger there,
and a store that hangs would take them all.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar
from weakref import WeakKeyDictionary

THREADS = 16
PER_STORE = 8

ResultT = TypeVar("ResultT")

_limits: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]]" = WeakKeyDictionary()


async def in_thread(store: str, call: Callable[[], ResultT]) -> ResultT:
    """Run `call` in a thread and return its result; `store` names whose answer it waits for.

    The thread sees the caller's context variables. A caller that is cancelled leaves its thread to end by itself.
    """
    async with _limit(store):
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(_executor(), context.run, call)


def store_of(uri: str) -> str:
    """Return whose answer a look at `uri` waits for: `s3://bucket`, `sql://conn_id`; all of the local disk is one."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme in ("file", "local"):
        return "file"
    return f"{scheme}://{rest.partition('/')[0]}"


def _limit(store: str) -> asyncio.Semaphore:
    limits = _limits.setdefault(asyncio.get_running_loop(), {})
    if store not in limits:
        limits[store] = asyncio.Semaphore(PER_STORE)
    return limits[store]


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="retrain-look")
