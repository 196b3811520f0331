"""The Indexed Job against the published JSON schema of Kubernetes."""

import pathlib

import kubernetes_validate
import pytest
import yaml

from launch import cluster, jobs, kubernetes, plan, sweep
from tfds_builders.common.errors import InputError

# The oldest that has all that is used (podFailurePolicy and backoffLimitPerIndex), and a
# recent one.
VERSIONS = ("1.33", "1.37")
SETTINGS = """
[kubernetes]
image = "registry.example.org/cxr:0.3"
claim = "runs"
mount = "/runs"
gpus = 1
node_selector = {zone = "a"}
environment = {XLA_FLAGS = "--xla_dump_to=''"}
"""


@pytest.fixture
def documents(config, tmp_path, capsys):
    """What a sweep of four runs prints, read back."""
    path = tmp_path / "cluster.toml"
    path.write_text(SETTINGS)
    asked = sweep.Asked(
        str(config), pathlib.Path("/runs/q"), parallel=2, settings={"path": str(path)}
    )
    assert sweep.run(asked, "kubernetes") == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_what_the_published_schema_says(documents, version):
    for each in documents:
        kubernetes_validate.validate(each, version, strict=True)
    documents[1]["spec"]["completion"] = 4  # the schema would have found a mistake
    with pytest.raises(kubernetes_validate.ValidationError, match="completion"):
        kubernetes_validate.validate(documents[1], version, strict=True)


def test_each_index_is_a_run_of_the_plan(documents, config, tmp_path):
    settings, job = documents
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert (spec["completions"], spec["parallelism"]) == (4, 2)
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][-1] == "--index=$(JOB_COMPLETION_INDEX)"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "XLA_FLAGS", "value": "--xla_dump_to=''"} in container["env"]
    assert pod["volumes"][0]["configMap"]["name"] == settings["metadata"]["name"]
    # The file that the pod reads is what `launch.work` reads.
    path = tmp_path / "jobs.json"
    path.write_text(settings["data"]["jobs.json"])
    folder, made = jobs.read(path)
    assert folder == pathlib.Path("/runs/q")
    assert [each.parts[0].name for each in made] == [
        run.name for run in plan.load(str(config))
    ]
    assert all(each.command[0] == "python" for each in made)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "names no image"),
        ('[kubernetes]\nimage = "a"', "names no claim"),
        (
            '[kubernetes]\nimage = "a"\nclaim = "b"\nmount = "/data"',
            "is not below /data",
        ),
    ],
)
def test_what_would_lose_the_runs_is_refused(tmp_path, text, message):
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    settings = cluster.read(str(path), "kubernetes")
    with pytest.raises(InputError, match=message):
        kubernetes.manifest(pathlib.Path("/runs/q"), [], settings, 1, "q")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[slurm", "is not TOML"),
        ("[slrum]", "did you mean slurm"),
        ("[slurm]\npartion = 'a'", "did you mean partition"),
        ("[slurm]\npartition = 3", "slurm.partition is 3"),
        ("[slurm]\nmodules = 'cuda'", "slurm.modules"),
        ("[slurm]\nmodules = [3]", "slurm.modules is 3"),
        ("[slurm]\ntasks = -1", "slurm.tasks is -1"),
        ("[slurm]\nenvironment = {A = 1}", "slurm.environment.A is 1"),
        ("slurm = 3", "slurm is 3"),
    ],
)
def test_mistakes_in_the_settings_of_a_cluster(tmp_path, text, message):
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        cluster.read(str(path), "slurm")
    assert str(path) in str(caught.value)


def test_flags_come_before_the_file(tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text('[slurm]\npartition = "a"\ntime = "1:00:00"\n[kubernetes]\n')
    found = cluster.read(str(path), "slurm", partition="b", time=None)
    assert (found.partition, found.time) == ("b", "1:00:00")
    with pytest.raises(InputError, match="there is no such file"):
        cluster.read(str(tmp_path / "none.toml"), "slurm")


def printed(config, tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text(SETTINGS)
    where = pathlib.Path("/runs/q")
    asked = sweep.Asked(str(config), where, settings={"path": str(path)})
    return sweep.run(asked, "kubernetes")


def test_what_else_is_said_is_not_among_the_documents(config, tmp_path, capsys):
    """They go through a pipe to kubectl."""
    config.write_text(config.read_text() + "    add({'batch_size': 64, 'seed': 0})\n")
    config.write_text(config.read_text() + "    add({'seed': 0})\n")
    assert printed(config, tmp_path) == 0
    said = capsys.readouterr()
    kinds = [each["kind"] for each in yaml.safe_load_all(said.out)]
    assert kinds == ["ConfigMap", "Job"] and "it is run once" in said.err


def test_more_runs_than_a_configmap_holds_are_refused(config, tmp_path, capsys):
    text = config.read_text().replace("(0, 1)", "range(2500)")
    config.write_text(text.replace("(1e-3, 1e-2)", "(1e-3,)"))
    with pytest.raises(InputError, match="2,500 runs take .* holds 1,048,576"):
        printed(config, tmp_path)
    assert not capsys.readouterr().out
