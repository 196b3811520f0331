"""pyproject.toml declares exactly what the code imports."""

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib

import pytest
from places import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
OURS = {"cxr_jax", "tfds_builders", "launch", "configs", "benchmarks", "docs"}
# Never imported by us.
INDIRECT = {"importlib_resources": "TFDS imports it and does not declare it"}
# Used by tests where somebody has installed them.
OPTIONAL = {"keras", "tensorflow", "timm", "torchvision", "torchxrayvision"}


def name_of(requirement):
    """'etils[epath]>=1.14; marker' -> 'etils'."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("-", "_")


def declared(*extras):
    found = list(PROJECT["dependencies"])
    for extra in extras:
        found += PROJECT["optional-dependencies"][extra]
    return set(map(name_of, found))


def imported(*folders):
    """{top-level module: one file that imports it}."""
    found = {}
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for name in names:
                    found[name.split(".")[0]] = str(path.relative_to(REPOSITORY))
    return found


@functools.cache
def installed():
    return importlib.metadata.packages_distributions()


def distributions(module):
    """The distributions that provide `module`; several share the namespace google."""
    found = ["protobuf"] if module == "google" else installed().get(module, [module])
    return {each.lower().replace("-", "_") for each in found}


@pytest.fixture(scope="module")
def code():
    return imported("cxr_jax", "tfds_builders", "launch", "configs")


def test_every_import_is_declared(code):
    extras = set(PROJECT["optional-dependencies"]) - {"dev", "cuda"}
    known = declared(*extras)
    missing = {
        f"{module} ({path})"
        for module, path in code.items()
        if module not in sys.stdlib_module_names | OURS
        and not distributions(module) & known
    }
    assert not missing


def test_every_dependency_is_imported(code):
    used = set().union(*map(distributions, code)) | set(INDIRECT)
    assert declared() <= used


def test_tests_import_what_is_declared():
    known = declared(*PROJECT["optional-dependencies"])
    support = {path.stem for path in (REPOSITORY / "tests").rglob("*.py")}
    for module, path in imported("tests").items():
        if module in sys.stdlib_module_names | OURS | support | OPTIONAL | {"tests"}:
            continue
        assert distributions(module) & known, f"{module} ({path})"


def test_constraints_pin_everything_declared():
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()[1:]
    pinned = {name_of(line) for line in lines}
    assert lines == sorted(lines, key=str.lower)
    extras = set(PROJECT["optional-dependencies"]) - {"torch"}
    assert declared(*extras) <= pinned


def test_version_has_a_changelog_section():
    import cxr_jax

    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    assert f"## [{cxr_jax.__version__}]" in changelog
    citation = (REPOSITORY / "CITATION.cff").read_text()
    assert f"\nversion: {cxr_jax.__version__}\n" in citation
