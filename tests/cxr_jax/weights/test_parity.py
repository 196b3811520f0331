"""Our models against torchvision, timm and keras.applications: the same numbers.

Random weights of the package's own names and shapes, random pictures. The packages'
results for some lie in `recorded/`; all are computed again where they are installed.
"""

import jax
import numpy as np
import parity_real
import pytest
import record
from parity_cases import OUTPUTS, QUICK, SLOW, check, placed, run

from cxr_jax.models import MODELS
from cxr_jax.models.init import abstract_variables

RECORDED = [case for case in QUICK if case.recorded]
ALL = [
    *(pytest.param(case, id=case.title) for case in QUICK),
    *(pytest.param(case, id=case.title, marks=pytest.mark.slow) for case in SLOW),
]


def need(case):
    if missing := parity_real.missing(case):
        pytest.skip(f"not installed: {missing}")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.title)
def test_same_as_recorded(case):
    theirs, drawn = record.read(case)
    np.testing.assert_array_equal(
        record.first_drawn(case, theirs.shapes),
        drawn,
        err_msg="numpy draws other numbers than when this was recorded: run record.py",
    )
    ours = run(case, theirs.shapes)
    parts = {name: record.part(feature) for name, feature in ours.features.items()}
    check(ours._replace(features=parts), theirs)


@pytest.mark.parametrize("case", record.NAMED, ids=lambda case: case.title)
def test_every_array_of_the_package_has_its_place(case):
    shapes = record.read_names(case)
    arrays = {
        name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()
    }
    model = MODELS[case.ours](OUTPUTS, style=case.format)
    placed(case, model, arrays)  # asserts it


@pytest.mark.parametrize("case", ALL)
def test_same_as_the_package(case):
    need(case)
    theirs = parity_real.run(case)
    check(run(case, theirs.shapes), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*QUICK, *SLOW], ids=lambda case: case.title)
def test_as_many_parameters_as_the_package(case):
    need(case)
    variables = abstract_variables(MODELS[case.ours](1000), (224, 224, 3))
    if case.format == "keras":
        variables = abstract_variables(
            MODELS[case.ours](1000, style="keras"), (224, 224, 3)
        )
    else:
        variables.pop("batch_stats", None)
    ours = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert ours == parity_real.parameters(case)
