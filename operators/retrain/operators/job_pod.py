"""The pod operator of Airflow's Kubernetes provider, mended where it would lose an answer or leave a pod behind.

Imported only where a pod is started: it brings the Kubernetes client along.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import generic_api_retry
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.container import container_is_running, get_container_status
from kubernetes.client.exceptions import ApiException  # noqa: TID253
from urllib3.exceptions import HTTPError

from retrain.exceptions import JobFailedError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from kubernetes.client import V1Pod

# Of the log of a container that failed, what an error quotes.
LAST_LINES = 5


class JobPodOperator(KubernetesPodOperator):
    """Runs a job in a pod; `ended` is the pod as it was last seen, before it was deleted."""

    ended: "V1Pod | None" = None
    _answer: Any = None

    def get_or_create_pod(self, pod_request_obj: "V1Pod", context: "Context") -> "V1Pod":
        """Find the pod of an earlier try, or start one; not one that is being deleted or does another job.

        The provider looks at labels alone: it would wait for a pod that somebody has just deleted, and take the answer
        to another job document for ours.
        """
        for other in self._others(pod_request_obj, context):
            self.log.info("Pod %s is being deleted, or does another job: it is not waited for", other.metadata.name)
            self.patch_already_checked(other, reraise=False)
            self.process_pod_deletion(other, reraise=False)
        pod = super().get_or_create_pod(pod_request_obj, context)
        if self._killed:  # the signal came while the pod was being started: `on_kill` knew of none
            self.pod = pod
            self.on_kill()
            raise JobFailedError(f"the task was asked to end while pod {pod.metadata.name} was being started")
        return pod

    @generic_api_retry  # type: ignore[untyped-decorator]
    def _others(self, wanted: "V1Pod", context: "Context") -> "list[V1Pod]":
        found = self.client.list_namespaced_pod(
            namespace=wanted.metadata.namespace, label_selector=self._build_find_pod_label_selector(context)
        ).items
        return [pod for pod in found if pod.metadata.deletion_timestamp or not self._does(pod, wanted)]

    def _does(self, pod: "V1Pod", wanted: "V1Pod") -> bool:
        asked, does = (
            next((one.args for one in each.spec.containers if one.name == self.base_container_name), None)
            for each in (wanted, pod)
        )
        return bool(asked == does)

    def start(self, context: "Context") -> Any:
        """Run the pod and return its answer, or defer.

        When deferrable, the provider drops the answer of a pod that had ended before it was waited for. Not called
        `execute`, which Airflow lets nobody but its task runner call without a warning.
        """
        if not self.deferrable:
            return self.execute_sync(context)
        self.execute_async(context)
        return self._answer

    def trigger_reentry(self, context: "Context", event: dict[str, Any]) -> Any:
        """Return the answer of a pod that has ended, and end one that is out of time."""
        if event["status"] == "timeout":
            self._end_now(event)
        self._answer = super().trigger_reentry(context, event)
        return self._answer

    def _end_now(self, event: dict[str, Any]) -> None:
        """Delete the pod; the provider would follow the log of a container that does not end."""
        with contextlib.suppress(ApiException):
            self.pod = self.ended = self.hook.get_pod(event["name"], event["namespace"])
            if container_is_running(self.pod, self.base_container_name):
                with contextlib.suppress(HTTPError):
                    self._write_logs(self.pod, follow=False)
        self.process_pod_deletion(self.pod, reraise=False)
        raise JobFailedError(
            f"pod {event['name']} is out of time: {self.ending() or 'it is gone'}. {event['message']}",
            remedy="Raise the task's execution_timeout or the pod's startup_timeout_seconds, or find what it waits for",
        )

    def cleanup(
        self, pod: "V1Pod", remote_pod: "V1Pod", xcom_result: Any = None, context: "Context | None" = None
    ) -> None:
        """Look at the pod once more before it is deleted: what the provider has at hand may be its beginning."""
        self.ended = remote_pod or self.ended
        with contextlib.suppress(ApiException, HTTPError):
            self.ended = self.hook.get_pod(pod.metadata.name, pod.metadata.namespace)
        super().cleanup(pod=pod, remote_pod=remote_pod, xcom_result=xcom_result, context=context)

    def ending(self) -> str:
        """Say how the job's container ended, or what it waits for; empty when nobody has seen the pod."""
        if self.ended is None:
            return ""
        status = get_container_status(self.ended, self.base_container_name)
        parts = [self.ended.status.reason]
        if status is None:
            parts.append(f"pod {self.ended.status.phase}")
        elif done := status.state.terminated:
            lines = (done.message or "").strip().splitlines()[-LAST_LINES:]
            parts += [done.reason, f"exit code {done.exit_code}", " | ".join(lines)]
        elif waits := status.state.waiting:
            parts += ["its container waits", waits.reason, waits.message]
        else:
            parts.append("its container was running when it was last seen")
        return ": ".join(part for part in parts if part)

    @property
    def killed(self) -> bool:
        """Whether the task was asked to end."""
        return bool(self._killed)

    def exit_code(self) -> int | None:
        """Return the exit code of the job's container, None where it is not known to have ended."""
        status = get_container_status(self.ended, self.base_container_name) if self.ended else None
        return status.state.terminated.exit_code if status and status.state.terminated else None
