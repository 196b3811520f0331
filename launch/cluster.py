"""What a cluster needs to be told: a small TOML file with a section for each kind."""

from __future__ import annotations

import difflib
import pathlib
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import Each, check
from tfds_builders.common.places import expanded


class Slurm(NamedTuple):
    """`[slurm]`: of each run, unless it says otherwise.

    Attributes:
      partition, time, gres, account, mem: of sbatch; empty for the cluster's default.
      cpus_per_task: cores of each process.
      tasks: processes that train one model together; more than one start by srun.
      nodes: machines for these; 0 leaves it to Slurm.
      grace: seconds before the time limit at which a run is told to save.
      modules: to load.
      setup: lines of bash, run before the command.
      environment: variables.
      options: further ones of sbatch, '--qos=long'.
    """

    partition: str = ""
    time: str = ""
    gres: str = ""
    account: str = ""
    mem: str = ""
    cpus_per_task: int = 1
    tasks: int = 1
    nodes: int = 0
    grace: int = 120
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    options: tuple[str, ...] = ()


class Kubernetes(NamedTuple):
    """`[kubernetes]`.

    Attributes:
      image: with this package installed.
      claim: persistent volume claim where the workdirs are.
      mount: path of it in the container; the sweep's --workdir has to lie there.
      namespace: empty for the current one.
      cpu, memory, gpus: of each run.
      python: program in the image.
      node_selector, environment: {name: value}.
    """

    image: str = ""
    claim: str = ""
    mount: str = ""
    namespace: str = ""
    cpu: str = "2"
    memory: str = "8Gi"
    gpus: int = 0
    python: str = "python"
    node_selector: Mapping[str, str] = MappingProxyType({})
    environment: Mapping[str, str] = MappingProxyType({})


_KINDS = {"slurm": Slurm, "kubernetes": Kubernetes}
_TYPES = {str: str, int: int, tuple: list, MappingProxyType: Each(str)}


def read(path: str, kind: str, **flags: str | None) -> Any:
    """The section `kind` of a file, with the values of flags that were given.

    Args:
      path: of the file; empty for the defaults.
      kind: 'slurm' or 'kubernetes'.

    Raises:
      InputError: no such file, it is not TOML, or has an unknown key or another type.
    """
    section = _section(expanded(path), kind) if path else {}
    given = {name: value for name, value in flags.items() if value is not None}
    return _KINDS[kind](**{**section, **given})


def _section(path: pathlib.Path, kind: str) -> dict[str, Any]:
    advice = "docs/sweeps.md has an example"
    text = files.read_text(path, missing=advice, damaged=advice, kind="TOML")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(path, f"is not TOML: {error}", advice) from None
    _check_names(path, content, tuple(_KINDS), "section")
    for name, values in content.items():
        check(path, values, dict, advice, name)
        made = _KINDS[name]
        _check_names(path, values, made._fields, f"key in [{name}]")
        for key, value in values.items():
            wanted = _TYPES[type(made._field_defaults[key])]
            check(path, value, wanted, advice, f"{name}.{key}")
            if isinstance(value, list):
                for each in value:
                    check(path, each, str, advice, f"{name}.{key}")
            if isinstance(value, int) and value < 0:
                raise InputError(path, f"{name}.{key} is {value}", "give 0 or more")
    return content.get(kind, {})


def _check_names(path, found, known: tuple[str, ...], what: str) -> None:
    for name in found:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"use {', '.join(known)}"
            raise InputError(path, f"has an unknown {what}: {name}", hint)
