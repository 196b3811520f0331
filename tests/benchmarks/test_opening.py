"""The dataset of the benchmark has the records that it claims."""

from benchmarks import opening
from cxr_jax.data import builders


def test_a_dataset_of_many_records(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_IN_A_FILE", 16)
    data_dir = opening.multiplied(tmp_path, 50)
    split = builders.load(
        builders.open_builder(opening.DATASET, str(data_dir)), opening.SPLIT
    )
    assert split.table["example_id"] == [f"film{k:08}" for k in range(50)]
    assert len(set(split.table["patient_id"])) == 17
    assert split.read(49)["image"].startswith(b"\x89PNG")
    assert min(opening.seconds(data_dir).values()) >= 0
