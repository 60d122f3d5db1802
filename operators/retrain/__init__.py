"""Continuous training for Apache Airflow: declare a model once and it stays fresh."""

__version__ = "0.1.0"
