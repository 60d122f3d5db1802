"""The pages that tasks link to, in a real API server: who may open which, and what may be opened at all."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from retrain.audit.evidence import bundle
from retrain.audit.keeping import keep
from retrain.data import storage
from scripts.demo.settings import Settings
from scripts.services.airflow import Airflow
from tests.support.story import Story

pytestmark = pytest.mark.integration

DAGS = Path(__file__).parent / "dags"
USERS = ("admin:admin", "viewer:viewer", "nobody:")
SCRIPT = "<!doctype html><p>drawn by <b>Evidently</b><script>document.title = 'ran'</script>"


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    text: str
    headers: Message


@dataclass
class Site:
    """An API server after a run of the DAG, the folder of its store, and the S3 server of another store."""

    settings: Settings
    airflow: Airflow
    s3: ThreadedMotoServer
    run: str

    def get(self, path: str, user: str | None = "viewer") -> Answer:
        """Open a page as a browser with this user's session does."""
        request = urllib.request.Request(f"{self.settings.airflow_url}/{path}")
        if user:
            client = Airflow(self.airflow.url, self.settings.password, {}, self.settings.root, user=user)
            request.add_header("Cookie", f"_token={client.token()}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.read().decode(), answer.headers)
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), error.headers)

    def links(self, task: str, map_index: int = -1) -> dict[str, str | None]:
        """Return a task's links as the UI gets them."""
        path = f"/dags/pages/dagRuns/{urllib.parse.quote(self.run)}/taskInstances/{task}/links?map_index={map_index}"
        found: dict[str, str | None] = self.airflow.call("GET", path)["extra_links"]
        return found

    def page(self, task: str, name: str = "drift", map_index: int | str = -1, dag: str = "pages") -> str:
        """Return the address of a page."""
        return f"retrain/pages/{dag}/{urllib.parse.quote(self.run, safe='')}/{task}/{map_index}/{name}"


def run_the_dag(env: dict[str, str], root: Path) -> None:
    """Run the tasks in one process, without a scheduler; what they push reaches the database all the same."""
    command = [sys.executable, "-m", "airflow", "dags", "test", "pages"]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert "the data is not fit" in done.stdout + done.stderr, done.stderr[-3000:]


def prepare(root: Path, settings: Settings, s3: str) -> dict[str, Any]:
    """Lay pages out and return what each task is to push."""
    store, outside = settings.store, root / "outside.html"
    outside.write_text("not for everybody")
    (root / "servers" / "store-of-others").mkdir()
    (root / "servers" / "store-of-others" / "page.html").write_text("not for everybody")
    for name in ("a", "b", "fails"):
        storage.write_bytes(f"{store.as_uri()}/pages/{name}.html", f"{SCRIPT}<i>{name}</i>".encode())
    storage.write_bytes(f"{store.as_uri()}/rows.parquet", b"PAR1 a row of somebody")
    (store / "link.html").symlink_to(outside)
    (store / "way").symlink_to(root)
    (store / "folder.html").mkdir()
    (store / "large.html").touch()
    os.truncate(store / "large.html", 33 * 2**20)
    with storage.configure("s3", endpoint_url=s3, key="testing", secret="testing"):
        fs, path = storage.filesystem("s3://team-a")
        fs.mkdir(path)
        storage.write_bytes("s3://team-a/retrain/page.html", b"from S3")
        storage.write_bytes("s3://team-a/other/page.html", b"not for everybody")
    told = Story(root).three_versions()
    kept = keep(bundle(told.ledger, "returns", "2", now=datetime(2024, 5, 1, tzinfo=UTC)), store.as_uri())
    told.ledger.close()
    return {
        "promoted": {"evidence": kept.page_uri},
        "mapped": [{"drift": f"{store.as_uri()}/pages/{name}.html", "validation": None} for name in "ab"],
        "fails": {"validation": f"{store}/pages/fails.html"},
        "silent": None,
        "remote": {"drift": "s3://team-a/retrain/page.html"},
        "batch": {
            "validation": {
                "2024-01@v1": f"{store.as_uri()}/pages/a.html",
                "<b>&@v2": f"{store.as_uri()}/pages/b.html",
                "refused": outside.as_uri(),
                "number": 7,
            },
            "drift": {},
        },
        "odd": ["not a dictionary"],
        "gone": {"drift": f"{store.as_uri()}/pages/gone.html"},
        "large": {"drift": f"{store.as_uri()}/large.html"},
        "folder": {"drift": f"{store.as_uri()}/folder.html"},
        "refused": {
            "outside": outside.as_uri(),
            "path": str(outside),
            "dots": f"{store.as_uri()}/../../outside.html",
            "dots_inside": f"{store.as_uri()}/pages/../pages/a.html",
            "neighbour": f"{root.as_uri()}/servers/store-of-others/page.html",
            "symlink": f"{store.as_uri()}/link.html",
            "folder_symlink": f"{store.as_uri()}/way/outside.html",
            "rows": f"{store.as_uri()}/rows.parquet",
            "bucket": "s3://team-a/other/page.html",
            "chain": f"simplecache::{store.as_uri()}/pages/a.html",
            "web": "http://127.0.0.1:9/page.html",
            "null": f"{store.as_uri()}/pages/a\u0000.html",
            "number": 7,
        },
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on loopback, with three users."""
    root = tmp_path_factory.mktemp("site")
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    extra = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(USERS),
        "AIRFLOW__RETRAIN__PAGE_STORES": "s3://team-a/retrain/",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": endpoint,
        "PAGES_OF_TASKS": str(root / "pages.json"),
    }
    settings = Settings(root / "servers", dags=DAGS, extra=extra)
    settings.write_passwords()
    passwords = {user.partition(":")[0]: settings.password for user in USERS}
    (settings.root / "airflow" / "passwords.json").write_text(json.dumps(passwords))
    settings.store.mkdir()
    (root / "pages.json").write_text(json.dumps(prepare(root, settings, endpoint)))
    env = settings.environment()
    airflow = Airflow(settings.airflow_url, settings.password, env, settings.root)
    airflow.migrate()
    run_the_dag(env, settings.root)
    try:
        airflow.start("api-server")
        airflow.wait("metadatabase")
        yield Site(settings, airflow, s3, airflow.runs("pages")[0]["dag_run_id"])
    finally:
        airflow.stop(seconds=5)
        s3.stop()


def test_a_task_links_to_its_pages_relative_to_airflows_address(site: Site) -> None:
    assert site.links("mapped", 1) == {"Drift report": site.page("mapped", map_index=1), "Validation result": None}
    assert site.links("silent") == {"Drift report": None, "Validation result": None}
    assert site.links("odd", 0) == {"Drift report": None, "Validation result": None}


def test_a_promotion_links_to_the_evidence_of_its_version(site: Site) -> None:
    link = site.links("promoted")["Evidence"]
    assert link == site.page("promoted", "evidence")
    answer = site.get(link)
    assert answer.status == 200
    assert "returns, version 2" in answer.text
    assert [site.get(link, user).status for user in (None, "nobody")] == [401, 403]


def test_a_task_that_failed_links_to_its_page_all_the_same(site: Site) -> None:
    link = site.links("fails")["Validation result"]
    assert link == site.page("fails", "validation")
    assert "<i>fails</i>" in site.get(link).text


def test_whoever_may_read_the_dag_reads_the_page_of_each_mapped_task(site: Site) -> None:
    for map_index, name in enumerate("ab"):
        answer = site.get(site.page("mapped", map_index=map_index))
        assert (answer.status, answer.text) == (200, f"{SCRIPT}<i>{name}</i>")


def test_the_pages_of_a_task_that_took_several_partitions_in_are_listed(site: Site) -> None:
    link = site.links("batch")
    assert link == {"Validation result": site.page("batch", "validation"), "Drift report": None}
    contents = site.get(link["Validation result"])
    assert contents.status == 200
    found = re.findall(r'<a href="(.*?)">(.*?)</a>', contents.text)
    assert found == [
        ("?partition=2024-01%40v1", "2024-01@v1"), ("?partition=%3Cb%3E%26%40v2", "&lt;b&gt;&amp;@v2"),
        ("?partition=number", "number"), ("?partition=refused", "refused"),
    ]  # fmt: skip
    answers = [site.get(site.page("batch", "validation") + query) for query, _ in found]
    assert [answer.status for answer in answers] == [200, 200, 404, 403]
    assert [answer.text for answer in answers[:2]] == [f"{SCRIPT}<i>a</i>", f"{SCRIPT}<i>b</i>"]
    assert site.get(site.page("batch", "validation") + "?partition=other").status == 404
    assert site.get(site.page("batch", "validation"), "nobody").status == 403


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("nobody", 403), ("viewer", 200), ("admin", 200)])
def test_a_page_needs_a_login_and_the_permission_to_read_the_dag(site: Site, user: str | None, status: int) -> None:
    answer = site.get(site.page("mapped", map_index=0), user)
    assert answer.status == status
    assert ("Evidently" in answer.text) == (status == 200)


@pytest.mark.parametrize("dag", ["pages", "unknown", "~"])
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("nobody", 403), ("viewer", 404)])
def test_who_may_not_read_is_not_told_what_exists(site: Site, user: str | None, status: int, dag: str) -> None:
    assert site.get(site.page("unknown", dag=dag), user).status == status


def test_the_answer_to_a_stranger_leads_to_the_login_and_back(site: Site) -> None:
    path = site.page("mapped", map_index=0)
    back = urllib.parse.quote(f"/{path}", safe="")
    assert f'href="/api/v2/auth/login?next={back}"' in site.get(path, None).text
    with urllib.request.urlopen(f"{site.settings.airflow_url}/api/v2/auth/login?next={back}", timeout=60) as answer:
        assert urllib.parse.parse_qs(urllib.parse.urlsplit(answer.url).query) == {"next": [f"/{path}"]}


def test_a_stored_page_can_reach_nothing_and_is_not_kept(site: Site) -> None:
    headers = site.get(site.page("mapped", map_index=0)).headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}
    assert policy["sandbox"] == ["allow-scripts"]
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == ["'none'"]
    assert {name for name, sources in policy.items() if any(":" in one and one[-1] != ":" for one in sources)} == set()
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    "name",
    [
        "outside", "path", "dots", "dots_inside", "neighbour", "symlink", "folder_symlink", "rows", "bucket", "chain",
        "web", "null",
    ],
)  # fmt: skip
def test_a_task_cannot_show_what_is_no_page_of_a_store(site: Site, name: str) -> None:
    answer = site.get(site.page("refused", name))
    assert answer.status == 403
    assert "is not shown" in answer.text


def test_a_page_that_is_too_large_for_the_server_is_refused_with_the_limit(site: Site) -> None:
    answer = site.get(site.page("large"))
    assert (answer.status, "at most 33,554,432" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("task", "name", "map_index", "says"),
    [
        ("mapped", "drift", 2, "has no page"),
        ("mapped", "drift", -1, "has no page"),
        ("mapped", "validation", 0, "has no page"),
        ("mapped", "..%2F..%2Foutside.html", 0, "Not Found"),
        ("silent", "drift", -1, "has no page"),
        ("odd", "drift", 0, "has no page"),
        ("refused", "number", -1, "has no page"),
        ("gone", "drift", -1, "is not there"),
        ("folder", "drift", -1, "is a directory"),
    ],
)
def test_what_is_not_there_is_said_in_words(site: Site, task: str, name: str, map_index: int, says: str) -> None:
    answer = site.get(site.page(task, name, map_index))
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert says in answer.text


def test_what_the_message_repeats_cannot_be_markup(site: Site) -> None:
    answer = site.get(site.page("%3Cscript%3Ealert(1)%3Cscript%3E"))
    assert (answer.status, "<script" in answer.text) == (404, False)
    assert "script" in answer.text


@pytest.mark.parametrize("path", ["retrain/", "retrain/docs", "retrain/redoc", "retrain/openapi.json", "retrain/pages"])
def test_nothing_is_open_to_strangers(site: Site, path: str) -> None:
    assert site.get(path, None).status == 404


def test_a_page_on_s3_is_served_and_a_store_that_is_down_is_named(site: Site) -> None:
    assert site.get(site.page("remote")).text == "from S3"
    site.s3.stop()
    answer = site.get(site.page("remote"))
    assert (answer.status, "did not answer" in answer.text) == (503, True)
