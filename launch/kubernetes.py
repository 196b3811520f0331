"""Kubernetes: the runs of a sweep as an Indexed Job; it is written, and nothing is sent."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import yaml

from tfds_builders.common.errors import InputError

from . import jobs as jobs_lib
from .cluster import Kubernetes
from .jobs import Job

_PLACE = "/sweep"
_MOST = 1 << 20  # bytes of a ConfigMap
# Times that a run may fail by itself; what was evicted does not count.
_RETRIES = 2


def manifest(
    folder: pathlib.Path,
    jobs: Sequence[Job],
    settings: Kubernetes,
    parallel: int,
    name: str,
) -> list[dict[str, Any]]:
    """A ConfigMap with the jobs, and the Job that runs each of them once.

    Raises:
      InputError: no image, or the workdir is not on the volume.
    """
    _check(folder, settings)
    jobs = [_in_image(job, settings) for job in jobs]
    data = {"jobs.json": jobs_lib.text(folder, jobs)}
    _check_size(len(data["jobs.json"].encode()), len(jobs))
    content = hashlib.sha256(data["jobs.json"].encode()).hexdigest()[:8]
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "sweep"
    meta = {"name": f"{plain}-{content}", "labels": {"app": "cxr-jax"}}
    if settings.namespace:
        meta["namespace"] = settings.namespace
    package = __package__ if __package__ != "launch" else "cxr_jax.launch"
    command = [settings.python, "-m", f"{package}.work", f"{_PLACE}/jobs.json"]
    resources = {"cpu": settings.cpu, "memory": settings.memory}
    limits = {"nvidia.com/gpu": str(settings.gpus)} if settings.gpus else {}
    volumes = [{"name": "sweep", "configMap": {"name": meta["name"]}}]
    mounts = [{"name": "sweep", "mountPath": _PLACE}]
    if settings.claim:
        claim = {"claimName": settings.claim}
        volumes.append({"name": "runs", "persistentVolumeClaim": claim})
        mounts.append({"name": "runs", "mountPath": settings.mount})
    container = {
        "name": "run",
        "image": settings.image,
        # Kubernetes sets this variable, and replaces it here.
        "command": [*command, "--index=$(JOB_COMPLETION_INDEX)"],
        "env": [{"name": k, "value": v} for k, v in settings.environment.items()],
        "resources": {"requests": resources, "limits": {**resources, **limits}},
        "volumeMounts": mounts,
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,  # in which a run saves
        "containers": [container],
        "volumes": volumes,
    }
    if settings.node_selector:
        pod["nodeSelector"] = settings.node_selector
    evicted = {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    spec = {
        "completionMode": "Indexed",
        "completions": len(jobs),
        "parallelism": min(parallel, len(jobs)),
        "backoffLimitPerIndex": _RETRIES,
        "podFailurePolicy": {"rules": [evicted]},
        "template": {"metadata": {"labels": meta["labels"]}, "spec": pod},
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec},
    ]


def rendered(documents: Sequence[dict[str, Any]]) -> str:
    """As `kubectl apply -f -` reads them."""
    plain = json.loads(json.dumps(documents))  # no aliases for what is there twice
    return yaml.safe_dump_all(plain, sort_keys=False, width=88)


def _in_image(job: Job, settings: Kubernetes) -> Job:
    return job._replace(command=(settings.python, *job.command[1:]))


def _check_size(size: int, jobs: int) -> None:
    if size > _MOST:
        raise InputError(
            "--backend=kubernetes",
            f"{jobs:,} runs take {size:,} bytes, and a ConfigMap holds {_MOST:,}",
            "ask for them in several sweeps",
        )


def _check(folder: pathlib.Path, settings: Kubernetes) -> None:
    example = "docs/sweeps.md has an example"
    if not settings.image:
        raise InputError("--cluster", "names no image in [kubernetes]", example)
    if settings.claim and not pathlib.PurePath(folder).is_relative_to(settings.mount):
        raise InputError(
            "--workdir",
            f"{folder} is not below {settings.mount or 'a mount'}, the volume of the pods",
            "give the workdir as the pods see it",
        )
    if not settings.claim:
        raise InputError(
            "--cluster", "names no claim in [kubernetes]: all would be lost", example
        )
