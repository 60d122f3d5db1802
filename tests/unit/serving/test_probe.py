"""What the probe says of its own process."""

import subprocess
import sys
from pathlib import Path

from retrain.serving import _probe


def test_the_peak_is_the_process_own_and_not_that_of_a_large_parent() -> None:
    held = b"x" * 300_000_000
    script = "import sys; sys.path.insert(0, sys.argv[1]); import _probe; print(_probe.peak_bytes())"
    command = [sys.executable, "-I", "-c", script, str(Path(_probe.__file__).parent)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert 1_000_000 < peak < len(held) < _probe.peak_bytes()
