"""Which file may import which: the layers of docs/architecture.md."""

import ast
import graphlib
import subprocess
import sys
from collections import defaultdict
from functools import cache

from places import REPOSITORY

# A file imports from its own layer and from lower ones.
LAYERS = (
    "rng trees state steps losses optim stats ops models",
    "metrics tasks",
    "devices data weights",
    "config config_check experiment",
    "runs",
    "train evaluation",
    "audits gate predict bundle export web view serve",
    "report",
    "main api config_flag",
    "launch",
)
LAYER = {name: i for i, names in enumerate(LAYERS, 1) for name in names.split()}
# What layer 1 takes from outside: threadpoolctl for numpy's threads, and two modules of
# the builders that are pure.
PURE = {"jax", "flax", "optax", "numpy", "scipy", "threadpoolctl"}
PURE |= {"tfds_builders.common.errors", "tfds_builders.common.zones"}
HEAVY = [
    "absl",
    "ml_collections",
    "grain",
    "orbax",
    "tensorflow_datasets",
    "cv2",
    "matplotlib",
]
# What has one name in two places, and why that misleads nobody.
SAME_NAME = {
    "__main__": "python -m of a folder",
    "audit": "the two audits, of a dataset and of a model",
    "brixia": "the task and its metrics",
    "data": "reading datasets, and their audit",
    "results": "those of a run, and those of the project",
    "registry": "METRICS and OPS, and how each is looked up",
}


@cache
def files() -> dict[str, ast.Module]:
    """{'cxr_jax.models.init': its syntax tree}; a package has the name of its folder."""
    paths = [
        p for top in ("cxr_jax", "launch") for p in REPOSITORY.glob(f"{top}/**/*.py")
    ]
    names = {
        p: ".".join(p.relative_to(REPOSITORY).with_suffix("").parts) for p in paths
    }
    return {
        name.removesuffix(".__init__"): ast.parse(path.read_text(), path)
        for path, name in sorted(names.items())
        if name != "cxr_jax.__init__"  # the public names, loaded lazily
    }


def imports(tree: ast.AST, inside: bool = False):
    """(module, is within a function) of every import that runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative imports are of launch/, which has two names: see setup.py.
            package = ".".join(filter(None, ["launch" * bool(node.level), node.module]))
            for alias in node.names:
                full = f"{package}.{alias.name}"
                yield (full if full in files() else package), inside
        is_function = isinstance(node, (ast.FunctionDef, ast.Lambda))
        yield from imports(node, inside or is_function)


def layer(module: str) -> int:
    top, _, rest = module.partition(".")
    if module == "cxr_jax":  # its version; it imports nothing by itself
        return 1
    return LAYER[top if top == "launch" else rest.split(".")[0]]


def is_ours(module: str) -> bool:
    return module.split(".")[0] in ("cxr_jax", "launch")


def edges():
    for importer, tree in files().items():
        for imported, inside in imports(tree):
            yield importer, imported, inside


def test_every_file_imports_from_its_own_layer_or_a_lower_one():
    upward = {
        (importer, imported)
        for importer, imported, _ in edges()
        if is_ours(imported) and layer(imported) > layer(importer)
    }
    assert not upward


def test_layer_1_imports_only_the_listed_packages():
    for importer, imported, _ in edges():
        known = is_ours(imported) or imported.split(".")[0] in sys.stdlib_module_names
        if layer(importer) == 1 and not known:
            assert imported in PURE or imported.split(".")[0] in PURE, importer


def test_imports_inside_functions_are_only_in_commands():
    inside = {
        importer
        for importer, imported, inside in edges()
        if inside and is_ours(imported) and layer(importer) < LAYER["main"]
    }
    assert not inside


def test_no_circular_imports():
    graph = defaultdict(set)
    for importer, imported, _ in edges():
        if is_ours(imported):
            graph[importer].add(imported)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


def test_no_two_modules_of_one_name():
    places = defaultdict(list)
    for name in files():
        places[name.rpartition(".")[2]].append(name)
    twice = {name for name, found in places.items() if len(found) > 1}
    assert twice <= set(SAME_NAME)


def test_builders_import_nothing_of_the_package():
    for path in REPOSITORY.glob("tfds_builders/**/*.py"):
        for imported, _ in imports(ast.parse(path.read_text(), path)):
            assert not is_ours(imported), path


def test_a_step_is_pure():
    """optax and flax themselves import absl; our files add nothing else."""
    code = """if True:
        import sys, optax, flax.linen
        before = set(sys.modules)
        import cxr_jax.steps
        print(*sorted(set(sys.modules) - before))
    """
    new = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "cxr_jax.steps" in new
    assert not [name for name in new if name.split(".")[0] in HEAVY]
