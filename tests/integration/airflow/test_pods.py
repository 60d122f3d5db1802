"""Jobs in pods: the real operators, pod operator, Kubernetes client and job process on a STUB of the Kubernetes API.

What the stub is not is in `tests.support.stub_kubernetes` and `tests.support.stub_pod`; no cluster was asked.
"""

import asyncio
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferred
from airflow.sdk.execution_time.timeout import timeout

from retrain.data import storage, write_parquet
from retrain.exceptions import ConnectionConfigError, ContractError, DeclarationError, JobFailedError, UnavailableError
from retrain.jobs import KubernetesPod
from scripts.services.processes import wait_for
from tests.support.hostile_models import living
from tests.support.pods import Record, WholeJobOperator, again, finished, resumed, task
from tests.support.project import orders
from tests.support.shop import Shop
from tests.support.stub_kubernetes import StubKubernetes
from tests.support.stub_pod import StubPod

pytestmark = [
    pytest.mark.integration,
    # The clients of Airflow's provider are closed by the end of the task's process.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
WAYS = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in the worker"])


class Pods:
    """Profiles of a partition, made in pods; `task` is the task that asks for them."""

    def __init__(self, shop: Shop, cluster: StubKubernetes, endpoint: str, silent: str) -> None:
        self.shop, self.cluster, self.endpoint, self.silent = shop, cluster, endpoint, silent
        self.record: Record | None = None
        self.ref = write_parquet(
            orders(50), shop.spec.data.format(partition="2024-01"), partition="2024-01", version=1
        ).to_dict()

    def runtime(self, *, hangs: bool = False, **changes: Any) -> KubernetesPod:
        """Return a pod; one that `hangs` waits for a store that does not answer."""
        fields = {
            "image": self.cluster.image,
            "secrets": ("s3-login",),
            "env": {"AWS_ENDPOINT_URL": self.silent if hangs else self.endpoint},
            **changes,
        }
        return KubernetesPod(**fields)

    def operator(
        self, *, hangs: bool = False, ref: dict[str, Any] | None = None, options: dict[str, Any] | None = None,
        steps: tuple[str, ...] = ("profile",), **changes: Any,
    ) -> WholeJobOperator:  # fmt: skip
        return WholeJobOperator(
            task_id="profile", steps=steps, inputs={"partition": ref or self.ref}, spec=self.shop.spec,
            store=self.shop.store, runtime=self.runtime(hangs=hangs, **changes), **(options or {}),
        )  # fmt: skip

    def task(self, tried: int) -> dict[str, Any]:
        """Return the context of a try; without a record pods are found by their labels alone."""
        record = {} if self.record is None else {"task_state_store": self.record}
        return {**task("profile", try_number=tried), **record}

    def run(self, tried: int = 1, **options: Any) -> Any:
        """Run the task to its end."""
        return finished(lambda: self.operator(**options), self.task(tried))

    def deferred(self, tried: int = 1, **options: Any) -> TaskDeferred:
        """Run the task until it waits in the triggerer."""
        with pytest.raises(TaskDeferred) as deferred:
            self.operator(**options).execute(self.task(tried))
        return deferred.value

    def go_on(self, deferred: TaskDeferred, tried: int = 1, **options: Any) -> Any:
        return resumed(lambda: self.operator(**options), self.task(tried), deferred)()

    @property
    def pod(self) -> StubPod:
        """The only pod that there was."""
        (pod,) = self.cluster.created
        return pod

    def later(self, happens: Any) -> threading.Thread:
        """Let something happen while the task waits for its pod."""

        def run() -> None:
            wait_for("a pod", lambda: self.cluster.created and self.cluster.created[-1].process)
            time.sleep(1)
            happens()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


def gone(pods: Pods) -> bool:
    """Wait until no pod is left; return whether no process of one is."""
    wait_for("the pods to be gone", lambda: not pods.cluster.pods)
    return not any(pod.process and living(pod.process.pid) for pod in pods.cluster.created)


@pytest.fixture
def silent() -> Iterator[str]:
    """A store that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def pods(remote: Shop, cluster: StubKubernetes, endpoint: str, silent: str) -> Pods:
    return Pods(remote, cluster, endpoint, silent)


@WAYS
def test_a_job_runs_in_a_pod_that_is_deleted_afterwards(pods: Pods, deferrable: bool) -> None:
    outputs = pods.run(deferrable=deferrable)
    assert storage.read_json(outputs["profile"]["uri"])["rows"] == 50
    assert gone(pods)
    whole = json.dumps(pods.pod.document) + pods.pod.log.read_text()
    assert not any(value in whole for secret in pods.cluster.secrets.values() for value in secret.values())
    assert "step profile of" in pods.pod.log.read_text()


def test_a_job_that_fails_says_why_and_whether_to_try_again(pods: Pods) -> None:
    with pytest.raises(AirflowFailException, match=r"ContractError: profile: .*'partition'"):
        pods.run(ref={"uri": "s3://no", "format": "parquet", "nonsense": 1})
    with pytest.raises(JobFailedError, match=r"StoreUnavailableError"):
        pods.run(env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert gone(pods)


def test_an_image_that_refuses_the_document_is_named_and_not_tried_again(pods: Pods) -> None:
    with pytest.raises(ContractError, match=r"image registry/jobs:1 refused .*unknown steps \['luck'\]"):
        pods.run(steps=("luck",))
    assert gone(pods)


@WAYS
def test_a_pod_that_runs_out_of_memory_is_told_with_its_limit(pods: Pods, deferrable: bool) -> None:
    pods.later(lambda: pods.pod.out_of_memory())
    with pytest.raises(JobFailedError, match=r"OOMKilled: exit code 137.*Raise the memory .* is 2Gi"):
        pods.run(hangs=True, deferrable=deferrable)
    assert gone(pods)


@WAYS
def test_a_pod_that_somebody_deletes_is_told_and_the_retry_starts_another(pods: Pods, deferrable: bool) -> None:
    pods.later(lambda: delete(pods))
    with pytest.raises(JobFailedError, match=r"the pod .* ended without a result"):
        pods.run(hangs=True, deferrable=deferrable)
    assert gone(pods)
    assert pods.run(tried=2, deferrable=deferrable)["profile"]["uri"]
    assert len(pods.cluster.created) == 2


def delete(pods: Pods, grace: int = 0) -> None:
    name = pods.cluster.created[-1].document["metadata"]["name"]
    url = f"http://127.0.0.1:{pods.cluster.port}/api/v1/namespaces/default/pods/{name}"
    body = json.dumps({"gracePeriodSeconds": grace}).encode()
    urllib.request.urlopen(urllib.request.Request(url, body, method="DELETE"), timeout=5).close()


@pytest.mark.parametrize("record", [False, True], ids=["by labels", "by Airflow's record"])
class TestRetry:
    @pytest.fixture(autouse=True)
    def _keep(self, pods: Pods, record: bool) -> None:
        pods.record = Record() if record else None

    @WAYS
    def test_finds_the_running_pod_and_starts_no_second_one(self, pods: Pods, deferrable: bool) -> None:
        pods.deferred()
        assert pods.run(tried=2, deferrable=deferrable)["profile"]["uri"]
        assert pods.pod.document["metadata"]["labels"]["try_number"] == "1"
        assert gone(pods)

    @WAYS
    def test_gets_the_answer_of_a_pod_that_ended_meanwhile(self, pods: Pods, deferrable: bool) -> None:
        pods.deferred()
        wait_for("the end of its container", lambda: pods.pod.done)
        assert pods.run(tried=2, deferrable=deferrable)["profile"]["uri"]
        assert pods.pod.done
        assert gone(pods)

    @WAYS
    def test_does_not_take_the_answer_to_another_document(self, pods: Pods, deferrable: bool) -> None:
        pods.deferred(hangs=True)
        uri = pods.shop.spec.data.format(partition="2024-02")
        other = write_parquet(orders(70), uri, partition="2024-02", version=1)
        outputs = pods.run(tried=2, deferrable=deferrable, ref=other.to_dict())
        assert storage.read_json(outputs["profile"]["uri"])["rows"] == 70
        assert len(pods.cluster.created) == 2
        assert gone(pods)

    @WAYS
    def test_does_not_wait_for_a_pod_that_is_being_deleted(self, pods: Pods, deferrable: bool) -> None:
        pods.deferred(hangs=True)
        delete(pods, grace=30)
        assert pods.run(tried=2, deferrable=deferrable)["profile"]["uri"]
        assert gone(pods)


class TestKill:
    @pytest.mark.parametrize("created", [True, False], ids=["while it runs", "before it is created"])
    def test_in_the_worker_deletes_the_pod_and_its_processes(self, pods: Pods, created: bool) -> None:
        operator = pods.operator(hangs=True, deferrable=False)
        if created:
            pods.later(operator.on_kill)
        else:
            operator.on_kill()
        with pytest.raises(JobFailedError, match=r"because the task was asked to end|while pod .* was being started"):
            operator.execute(task("profile"))
        assert gone(pods)
        assert pods.pod.process is not None

    def test_before_it_is_deferred_deletes_the_pod(self, pods: Pods) -> None:
        operator = pods.operator(hangs=True)
        operator.on_kill()
        with pytest.raises(JobFailedError, match=r"asked to end while pod .* was being started"):
            operator.execute(task("profile"))
        assert gone(pods)

    def test_in_the_triggerer_deletes_the_pod_and_its_processes(self, pods: Pods) -> None:
        deferred = pods.deferred(hangs=True)
        asyncio.run(again(deferred.trigger).on_kill())
        assert gone(pods)


class TestTimeout:
    OPTIONS: ClassVar = {"execution_timeout": timedelta(seconds=4)}

    def test_in_the_triggerer_ends_the_pod(self, pods: Pods) -> None:
        deferred = pods.deferred(hangs=True, options=self.OPTIONS)
        with pytest.raises(JobFailedError, match=r"pod profile-.*execution_timeout"):
            pods.go_on(deferred, hangs=True, options=self.OPTIONS)
        assert gone(pods)

    def test_in_the_worker_ends_the_pod_and_is_airflows_own_error(self, pods: Pods) -> None:
        operator = pods.operator(hangs=True, deferrable=False)
        with pytest.raises(AirflowTaskTimeout), timeout(4):
            operator.execute(task("profile"))
        assert gone(pods)

    def test_ends_the_pod_also_when_nobody_waits_for_it(self, pods: Pods) -> None:
        deferred = pods.deferred(hangs=True, options=self.OPTIONS)
        wait_for("the end of its container", lambda: pods.pod.done)
        assert not living(pods.pod.process.pid)
        with pytest.raises(JobFailedError, match="DeadlineExceeded"):
            pods.go_on(deferred, hangs=True, options=self.OPTIONS)
        assert gone(pods)

    def test_of_the_start_names_what_the_pod_waits_for(self, pods: Pods) -> None:
        with pytest.raises(JobFailedError, match=r'CreateContainerConfigError: secret "no-login" not found'):
            pods.run(secrets=("no-login",), startup_timeout_seconds=1)
        assert gone(pods)


@WAYS
def test_an_image_that_is_not_there_is_named(pods: Pods, deferrable: bool) -> None:
    with pytest.raises(JobFailedError, match=r"ErrImagePull.*registry/jobs:9"):
        pods.run(image="registry/jobs:9", deferrable=deferrable)
    assert gone(pods)


class TestApiServer:
    @WAYS
    def test_that_fails_for_a_while_costs_nothing(self, pods: Pods, deferrable: bool) -> None:
        pods.cluster.failing = 2
        assert pods.run(deferrable=deferrable)["profile"]["uri"]
        assert gone(pods)
        assert pods.pod.done

    def test_that_fails_while_the_pod_runs_costs_nothing(self, pods: Pods) -> None:
        deferred = pods.deferred()
        pods.cluster.failing = 3
        assert pods.go_on(deferred)["profile"]["uri"]
        assert gone(pods)

    @WAYS
    def test_that_stays_away_is_an_error_and_the_retry_finds_the_pod(self, pods: Pods, deferrable: bool) -> None:
        pods.deferred()
        pods.cluster.failing = 1000
        with pytest.raises(UnavailableError, match="etcdserver: request timed out"):
            pods.run(tried=2, deferrable=deferrable)
        pods.cluster.failing = 0
        assert pods.run(tried=3, deferrable=deferrable)["profile"]["uri"]
        assert pods.pod.done
        assert gone(pods)

    def test_whose_connection_is_not_there_is_named(self, pods: Pods) -> None:
        with pytest.raises(ConnectionConfigError, match="'kubernetes_of_tomorrow'"):
            pods.run(kubernetes_conn_id="kubernetes_of_tomorrow")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [({"limits": {"memory": "lots"}}, "cannot be handled"), ({"labels": {"team": "a b"}}, "is invalid")],
    )
    def test_that_refuses_the_pod_is_told_with_its_words(self, pods: Pods, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(DeclarationError, match=f"Kubernetes refuses the pod.*{said}"):
            pods.run(**wrong)
        assert pods.cluster.created == []
