"""What pyproject.toml cannot say: three folders are installed inside cxr_jax.

In the repository configs/, docs/ and launch/ lie beside cxr_jax/; installed under those
names they would clash with other projects' folders.
"""

from setuptools import find_namespace_packages, find_packages, setup

INSIDE = ("configs", "docs", "launch")

found = find_namespace_packages(
    include=[pattern for name in INSIDE for pattern in (name, f"{name}.*")],
    exclude=["docs.*", "*.__pycache__"],
)
setup(
    packages=find_packages(include=["cxr_jax*", "tfds_builders*"])
    + [f"cxr_jax.{name}" for name in found],
    package_dir={f"cxr_jax.{name}": name.replace(".", "/") for name in found},
)
