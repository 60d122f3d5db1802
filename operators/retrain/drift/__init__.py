"""Is the new data really, and materially, different from the reference? Profiles, verdicts, a report.

`profile` reads data once; everything else compares profiles, so the cost of monitoring does not grow with the
reference. Importing this package loads no numerical library.
"""

from retrain.drift.chart import chart
from retrain.drift.comparison import compare
from retrain.drift.concept import ConceptVerdict, concept
from retrain.drift.estimation import PerformanceEstimate, estimate
from retrain.drift.evidently_report import report
from retrain.drift.losses import performance
from retrain.drift.page import page
from retrain.drift.profiles import ColumnProfile, Kind, Profile
from retrain.drift.profiling import profile
from retrain.drift.sketch import QuantileSketch
from retrain.drift.thresholds import Thresholds

__all__ = [
    "ColumnProfile",
    "ConceptVerdict",
    "Kind",
    "PerformanceEstimate",
    "Profile",
    "QuantileSketch",
    "Thresholds",
    "chart",
    "compare",
    "concept",
    "estimate",
    "page",
    "performance",
    "profile",
    "report",
]
