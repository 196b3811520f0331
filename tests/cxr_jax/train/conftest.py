"""Runs in processes of their own, which tests stop and kill."""

import multiprocessing

import pytest

from cxr_jax.devices import settings as settings_lib
from cxr_jax.train import loop


@pytest.fixture
def start(environment, monkeypatch):
    """start(config, workdir, members=''): a training, in a process that has imported all."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cxr_jax.train.loop", "cxr_jax.audits.data.audit"])

    def begin(config, workdir, **settings):
        process = context.Process(target=_train, args=(config, workdir, settings))
        process.start()
        return process

    return begin


def _train(config, workdir, settings):
    settings_lib.apply()
    raise SystemExit(loop.train(config, workdir, **settings))
