"""Looking again and again: one loop, whose listings are shared by all who wait at the same place."""

import logging
import random
from asyncio import sleep
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from airflow.sdk import conf

from retrain.exceptions import RetrainError
from retrain.loop.waiting import pause
from retrain.triggers._pool import in_thread, store_of
from retrain.triggers.failures import is_final
from retrain.triggers.lookout import Listing, Place

log = logging.getLogger(__name__)

POLL_SECONDS = 30.0


@dataclass(frozen=True)
class Failure:
    """A look that failed."""

    error: Exception


def poll_seconds(given: float | None) -> float:
    """Return the pause between two looks: as given, else the deployment's."""
    return given or float(conf.getfloat("retrain", "poll_interval_seconds", fallback=POLL_SECONDS))


def steady(seconds: float) -> Iterator[float]:
    """Yield pauses that do not bring those together who started together."""
    yield pause(seconds, random.random(), first=True)
    while True:
        yield pause(seconds, random.random())


async def listings(place: Place, pauses: Iterator[float]) -> AsyncIterator[Listing | Failure]:
    """Look for ever and hand out what is there, each time all of it.

    All of it, and not what has changed: so nobody misses anything who begins to listen later or does not hear one of
    them. A look that fails is handed out too, and made again.
    """
    looker = place.looker()
    last: Listing | None = None
    trouble = ""

    def look() -> Listing:
        seen = looker()
        return last if last is not None and seen == last else seen  # compared here: it may be long

    for seconds in pauses:
        try:
            last = await in_thread(store_of(place.address), look)
        except Exception as error:
            trouble = _report(place, error, trouble, seconds)
            yield Failure(error)
        else:
            if trouble:
                log.info("%s answers again", place.address)
                trouble = ""
            yield last
        await sleep(seconds)


def _report(place: Place, error: Exception, before: str, seconds: float) -> str:
    """Write down what is new about a failure: a thousand watchers of a dead store do not fill the disk."""
    now = f"{type(error).__name__}: {error}"
    if now == before:
        log.debug("looking at %s failed again", place.address)
    elif is_final(error):
        log.error("looking at %s cannot succeed until somebody changes something: %s", place.address, now)
    elif isinstance(error, RetrainError):
        log.warning("looking at %s failed, trying again in %.1f s and from then on: %s", place.address, seconds, now)
    else:
        log.error("looking at %s failed, trying again in %.1f s: %s", place.address, seconds, now, exc_info=error)
    return now
