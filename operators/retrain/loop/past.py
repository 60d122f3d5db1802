"""What of the past a partition is judged by: profiles of earlier partitions, and earlier looks at the champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain.loop.facts import Accepted, newest_watched, watched_champion
from retrain.loop.season import same_season
from retrain.loop.streams import parse_key
from retrain.records import ModelSpec

if TYPE_CHECKING:
    from retrain.ledger import Ledger

# How many past partitions tell what ordinary variation is; at monthly partitions, a year.
MOST = 12


def past_profiles(accepted: Sequence[Accepted], key: str, spec: ModelSpec) -> list[str]:
    """Return the profiles of the last partitions, the oldest first; with a declared season, of those nearest in it.

    Until a season has gone round, and where the names tell no time, they are the last ones.
    """
    others = {str(one.ref.partition): one.profile_uri for one in accepted if one.key != key and one.profile_uri}
    if spec.season is not None:
        partition = parse_key(key)[0]
        if matched := same_season(partition, others, spec.season, MOST):
            return [others[name] for name in matched]
    return list(others.values())[-MOST:]


def past_looks(ledger: "Ledger", spec: ModelSpec, key: str, version: str | None) -> dict[str, Any]:
    """Return what was seen before on the partitions before this one, as inputs of a job.

    `past` are verdicts, whoever was champion; the losses and the profiles of predictions and labels are the champion's
    own (`version`). `look` counts the looks at it.
    """
    partition = parse_key(key)[0]
    before = [seen for seen in newest_watched(ledger, spec) if seen["partition"] < partition]
    own = [seen for seen in before if version is not None and watched_champion(seen) == version]
    judged = [seen for seen in before if (seen.get("drift") or {}).get("status")]
    return {
        "past": [
            {"partition": seen["partition"], **{name: seen["drift"].get(name) for name in ("status", "drivers")}}
            for seen in judged[-MOST:]
        ],
        "past_predictions": _found(own, "prediction", "profile_uri"),
        "past_labels": _found(own, "label", "profile_uri"),
        "past_losses": [
            {"partition": seen["partition"], "uri": seen["performance"]["losses_uri"]}
            for seen in own
            if (seen.get("performance") or {}).get("losses_uri")
        ][-MOST:],
        "look": len(own),
    }


def _found(looks: Sequence[Any], kind: str, name: str) -> list[str]:
    return [seen[kind][name] for seen in looks if (seen.get(kind) or {}).get(name)][-MOST:]
