"""Secrets that a model prints: found, and taken out of everything that is kept or shown."""

import os
import re
from collections.abc import Mapping

from retrain.serving.processes import CANARY

_LIKE_SECRETS = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE)
# Shorter values are found everywhere by chance.
_LEAST = 6


class Redaction:
    """The values that may not be shown: the check's secrets, its canary, and this process's own secrets."""

    def __init__(self, given: Mapping[str, str], environment: Mapping[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if _LIKE_SECRETS.search(name)}
        values = {**own, **given, CANARY: environment[CANARY]}
        self._values = {name: value for name, value in values.items() if len(value) >= _LEAST}

    def shown(self, text: str) -> list[str]:
        """Return the names of the secrets whose values stand in the text."""
        return sorted(name for name, value in self._values.items() if value in text)

    def clean(self, text: str) -> str:
        """Return the text with the values taken out."""
        for name, value in sorted(self._values.items(), key=lambda item: -len(item[1])):
            text = text.replace(value, f"<{name}>")
        return text
