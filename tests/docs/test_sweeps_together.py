"""The picture of several sweeps, from the tables that `launch.collect` writes."""

import pytest

from docs.make import sweeps_together

HEAD = "setting,metric,minus a,minus a lo,minus a hi,minus a n,p (Holm)"


def answered(folder, metric, value):
    tables = folder / "answer" / "tables"
    tables.mkdir(parents=True)
    rows = [f"b,{metric},{value},{value - 0.1},{value + 0.1},85,0.02", "b,Global MAE"]
    (tables / "differences.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return folder


def test_each_sweep_is_a_row(tmp_path):
    one = answered(tmp_path / "one", "Zone MAE", 0.25)
    other = answered(tmp_path / "other", "AUROC", -0.5)
    metric, found = sweeps_together.difference(one)
    assert metric == "Zone MAE"
    assert found[:4] == pytest.approx((0.25, 0.15, 0.35, 85))
    out = tmp_path / "picture.svg"
    sweeps_together.main(out, "as it was", [f"first={one}", f"second={one}"])
    said = out.read_text()
    for words in ("first", "second", "as it was", "left is better", "Zone MAE"):
        assert words in said
    with pytest.raises(ValueError):  # of two metrics there is no one axis
        sweeps_together.main(out, "as it was", [f"first={one}", f"second={other}"])
