"""How cores and GPUs are shared out."""

import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch import attempts, jobs, local, slots
from tfds_builders.common.errors import InputError


@given(st.integers(1, 12), st.integers(1, 16), st.integers(0, 9))
def test_every_core_and_gpu_is_dealt_out_evenly(parallel, cores, gpus):
    names = [str(k) for k in range(gpus)]
    made = slots.share(parallel, list(range(cores)), names, {})
    assert len(made) == parallel
    for found, whole in (
        ([s.cores for s in made], range(cores)),
        ([s.gpus for s in made], names),
    ):
        sizes = [len(each) for each in found]
        if not whole:
            assert not any(sizes)
            continue
        assert {x for each in found for x in each} == set(whole)
        assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
        uses = [sum(x in each for each in found) for x in whole]
        assert max(uses) - min(uses) <= 1


def test_processes_are_told_what_they_have():
    one, two = slots.share(2, [0, 1, 2], ["0", "GPU-7"], {"OMP_NUM_THREADS": "5"})
    assert one.environment["NPROC"] == "2" and two.environment["NPROC"] == "1"
    assert one.environment["OMP_NUM_THREADS"] == "5"  # whoever set it knows why
    assert two.environment["CUDA_VISIBLE_DEVICES"] == "GPU-7"
    # Three on one GPU share its memory; one alone is told nothing.
    shared = slots.share(3, [0], ["0"], {})
    fraction = {s.environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] for s in shared}
    assert fraction == {"0.300"}
    assert slots.share(1, [0, 1], [], {})[0].environment == {}
    with pytest.raises(InputError, match="--parallel: is 0"):
        slots.share(0, [0], [], {})


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "0"}, []),
        ({"CUDA_VISIBLE_DEVICES": "0, 3"}, ["0", "3"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"JAX_PLATFORMS": "cuda,cpu", "CUDA_VISIBLE_DEVICES": "2"}, ["2"]),
    ],
)
def test_gpus_are_those_that_the_environment_leaves(environment, expected):
    assert slots.gpus(environment) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_process_has_the_cores_of_its_slot_and_the_launcher_keeps_its_own(tmp_path):
    every = slots.cores()
    if len(every) < 2:
        pytest.skip("there is only one core")
    program = (
        "import json, os, sys\n"
        "found = [sorted(os.sched_getaffinity(0)), os.environ['NPROC']]\n"
        "open(sys.argv[1], 'w').write(json.dumps(found))"
    )
    made = [
        jobs.Job(
            (jobs.Part(name, name, name, {}),),
            (sys.executable, "-S", "-c", program, str(tmp_path / f"{name}.json")),
            f"{name}/log.txt",
        )
        for name in ("a", "b")
    ]
    local.run(tmp_path, made, slots.share(2, every[:2], [], {}))
    found = [json.loads((tmp_path / f"{n}.json").read_text()) for n in ("a", "b")]
    assert found == [[[every[0]], "1"], [[every[1]], "1"]]
    assert slots.cores() == every
    assert attempts.read(tmp_path / "a")[0].code == 0
