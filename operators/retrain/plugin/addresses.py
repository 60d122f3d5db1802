"""Where the page of a task is found: what the links, which are made in a task, and the API server agree on."""

from urllib.parse import quote

PREFIX = "/retrain"
# Under this key a task pushes its pages: a dictionary from a name, such as `validation`, to a URI in the store. A task
# that takes several partitions in pushes, for each name, a dictionary from the partition to the URI.
XCOM_KEY = "retrain_pages"


def page_path(dag_id: str, run_id: str, task_id: str, map_index: int | str | None, name: str) -> str:
    """Return the address of a task's page, relative to Airflow's own: no leading slash, no host.

    Airflow's pages resolve it against their `<base>`, so it also holds where Airflow lies under a path of a shared
    host, which the worker that makes the link need not know.
    """
    parts = (dag_id, run_id, task_id, "-1" if map_index is None else str(map_index), name)
    return "/".join([PREFIX.strip("/"), "pages", *(quote(part, safe="") for part in parts)])
