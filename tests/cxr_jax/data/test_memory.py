import psutil
import pytest

from cxr_jax.data import memory

GB = 2**30


@pytest.fixture
def machine(tmp_path):
    """Writes the files that Linux tells it in; 8 GB are available."""

    def write(path, text):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write(
        "proc/meminfo",
        f"MemTotal: {16 * GB // 1024} kB\nMemAvailable: {8 * GB // 1024} kB\n"
        "HugePages_Total: 0\n",
    )
    write("proc/self/cgroup", "0::/\n")
    return tmp_path, write


def test_the_machine_without_limits(machine):
    root, _ = machine
    assert memory.available(root) == 8 * GB


@pytest.mark.parametrize("limit, expected", [(6 * GB, 4 * GB), ("max", 8 * GB)])
def test_a_group_of_version_2_and_those_that_hold_it(machine, limit, expected):
    root, write = machine
    write("proc/self/cgroup", "0::/job_1/step_2\n")
    write("sys/fs/cgroup/job_1/memory.max", f"{limit}\n")
    write("sys/fs/cgroup/job_1/memory.stat", f"anon {2 * GB}\nfile {4 * GB}\n")
    write("sys/fs/cgroup/job_1/step_2/memory.max", "max\n")
    assert memory.available(root) == expected


def test_a_group_of_version_1_seen_from_within_a_container(machine):
    root, write = machine
    write("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n0::/\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{3 * GB}\n")
    write("sys/fs/cgroup/memory/memory.stat", f"cache 5\ntotal_rss {GB}\n")
    assert memory.available(root) == 2 * GB


def test_here_it_is_about_what_psutil_says():
    assert 0 < memory.available() <= psutil.virtual_memory().total


def test_elsewhere_all_memory_counts(tmp_path):
    assert memory.available(tmp_path) == pytest.approx(
        psutil.virtual_memory().total, rel=0.05
    )
