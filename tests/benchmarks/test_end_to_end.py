"""The benchmarks of whole commands run what they claim to run."""

import subprocess
import sys

import pytest

from benchmarks import end_to_end, films, following, members


def test_a_step_is_timed_when_its_line_appears():
    code = (
        "import time\n"
        "for step in range(1, 11):\n"
        "    time.sleep(0.02)\n"
        "    print(f'step {step:>6}/10  loss', flush=True)\n"
        "print('done')\n"
    )
    command = [sys.executable, "-c", code]
    first, one, five = following.seconds(command, (1, 2, 10), "unused")
    # Ten sleeps: the first, the second and the tenth line.
    assert one - first >= 0.015 and five - one >= 8 * 0.015


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processor_seconds_are_those_of_all_processes():
    work = "import time\nwhile time.process_time() < 0.3: pass\n"
    code = (
        "import subprocess, sys, time\n"
        "time.sleep(0.3)\n"
        "print('step 1', flush=True)\n"
        f"subprocess.run([sys.executable, '-c', {work!r}])\n"
        "print('step 2', flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    asleep, worked = following.moments(command, (1, 2), "unused")
    assert asleep.cpu < asleep.wall  # it slept
    assert worked.cpu - asleep.cpu > 0.27  # each is cut to a hundredth


def test_a_command_that_fails_ends_the_benchmark():
    with pytest.raises(SystemExit, match="exit code 3"):
        following.seconds([sys.executable, "-c", "raise SystemExit(3)"], (1,), "")


def test_both_read_the_same_images(tmp_path):
    cv2 = pytest.importorskip("cv2")
    data_dir = films.draw(tmp_path, end_to_end.DATASET, 96, 20)
    folder = end_to_end.export(tmp_path, data_dir, 5)
    from cxr_jax.data import builders, decode

    split = builders.load(
        builders.open_builder(end_to_end.DATASET, data_dir), "train[:5]"
    )
    for number in range(5):
        written = cv2.imread(f"{folder}/{number:06}.png", cv2.IMREAD_UNCHANGED)
        stored = decode.image(split.read(number)["image"], 256, "stretch")[..., 0]
        assert (written == stored).all() and written.dtype == stored.dtype


@pytest.mark.slow
def test_our_command_is_valid(tmp_path, brixia_data, environment):
    """The flags would refuse a wrong key before anything is trained."""
    arguments = end_to_end.ours(str(brixia_data), 32, "cnn", 32, str(tmp_path / "run"))
    small = ["--config.data.val=val", "--config.data.test=test"]
    done = subprocess.run(
        [*arguments, *small, "--dry_run"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 steps of 32 images" in done.stdout
    alone = members.training("configs/quickstart.py", "data", 5, "runs/a", 0)
    assert not any("members" in each for each in alone)
