"""TFDS builders for chest X-ray releases. Imports no jax; usable alone."""

# Each has a folder of its name here, and a phantom release that imitates it.
DATASETS = (
    "brixia",
    "brixia_public",
    "coronahack",
    "covid_chestxray",
    "covid_radiography",
    "covid_xray_5k",
    "covidgr",
    "covidx_ct",
    "covidx_cxr",
    "image_folder",
)
