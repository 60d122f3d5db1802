"""Expectation suites over a reference: a verdict, and the failing rows set aside."""

from retrain.validation.run import validate
from retrain.validation.suites import Expectation, Suite, load_suite

__all__ = ["Expectation", "Suite", "load_suite", "validate"]
