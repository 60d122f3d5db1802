"""An Airflow DAG of tasks that make pages and say where they lie."""

import json
import os
from pathlib import Path

from airflow.sdk import DAG, BaseOperator

from retrain.operators.links import DriftPageLink, EvidencePageLink, ValidationPageLink
from retrain.plugin.addresses import XCOM_KEY

# What each task pushes, by the task's name; a list makes a mapped task.
PAGES = json.loads(Path(os.environ["PAGES_OF_TASKS"]).read_text(encoding="utf-8"))


class PageOperator(BaseOperator):
    """Says where its pages lie, and may fail after that, as a validation does."""

    operator_extra_links = (ValidationPageLink(), DriftPageLink())

    def __init__(self, *, pages, **kwargs) -> None:
        super().__init__(**kwargs)
        self.pages = pages

    def execute(self, context) -> None:
        if self.pages is not None:
            context["ti"].xcom_push(key=XCOM_KEY, value=self.pages)
        if self.task_id == "fails":
            raise RuntimeError("the data is not fit")


class PromotedOperator(PageOperator):
    """Links to its page as a promotion does."""

    operator_extra_links = (EvidencePageLink(),)


with DAG("pages", schedule=None):
    for name, pushed in PAGES.items():
        if isinstance(pushed, list):
            PageOperator.partial(task_id=name).expand(pages=pushed)
        else:
            kind = PromotedOperator if name == "promoted" else PageOperator
            kind(task_id=name, pages=pushed)
