"""Waits in a DAG until data has arrived."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from retrain.exceptions import DeclarationError
from retrain.loop.waiting import Known, Wanted, arrivals, summary
from retrain.sensors._waiting import WaitingSensor
from retrain.triggers.arrival import PartitionWaitTrigger
from retrain.triggers.lookout import Lookout, is_growing

if TYPE_CHECKING:
    from airflow.sdk import Context


class PartitionArrivalSensor(WaitingSensor):
    """Wait until a partition is there and finished: the one that is named, or enough newer ones.

    XCom: `{"partition", "uri", "size", "token", "count", "partitions"}`; the first four are the newest partition's,
    `partitions` the first 100 names.

    :param data: template with `{partition}`, of files on any fsspec store, of `sql://` or of `dvc:` (templated)
    :param partition: the key of the partition to wait for (templated)
    :param after: any partition that sorts after this key (templated); neither: any partition
    :param count: so many of them at least
    :param unlike: tokens by partition, as an earlier wait returned them: such a partition counts only when it has
        changed since, as by a correction or a new DVC revision (templated)
    :param complete: when a partition is finished, as in a declaration (see `retrain.data.Completeness`)
    :param deferrable: wait in the triggerer; default `[operators] default_deferrable`
    """

    template_fields: Sequence[str] = ("data", "partition", "after", "unlike")

    def __init__(
        self,
        *,
        data: str,
        partition: str | None = None,
        after: str | None = None,
        count: int = 1,
        unlike: Mapping[str, str] | None = None,
        complete: Mapping[str, Any] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        self.data = data
        self.partition = partition
        self.after = after
        self.count = count
        self.unlike = dict(unlike or {})
        self.complete = dict(complete or {})
        self._lookout: Lookout | None = None
        Wanted(partition, after, count)  # a contradiction is told when the DAG is parsed
        if is_growing(data) and (partition is not None or count > 1):
            raise DeclarationError(
                f"{data!r} has one partition at a time, all rows after the one before; none can be named in advance",
                expected="neither partition nor count",
                remedy="Wait for what comes after=...",
            )

    def look(self, context: "Context") -> dict[str, Any] | None:  # noqa: ARG002
        """List and decide."""
        wanted = self._wanted()
        if self._lookout is None:
            self._lookout = Lookout(self.data, self.complete, wanted.after)
        news = arrivals(self._lookout.look(), Known(self.unlike), wanted)
        return summary(news.fresh) if news.arrived else None

    def trigger(self) -> PartitionWaitTrigger:
        """Return the trigger that looks every `poke_interval`."""
        wanted = self._wanted()
        return PartitionWaitTrigger(
            self.data,
            self.poke_interval,
            self.complete,
            wanted={"partition": wanted.partition, "after": wanted.after, "count": wanted.count},
            known=self.unlike,
            patient=self.silent_fail,
        )

    def _wanted(self) -> Wanted:
        return Wanted(self.partition, self.after, self.count)
