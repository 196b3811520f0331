"""The ingestion benchmark runs, on a film of each format."""

from benchmarks import ingest


def test_table_of_all_formats(monkeypatch):
    monkeypatch.setattr(
        ingest, "in_fresh_process", lambda *_: {"rate": 2.0, "megabytes": 9.0}
    )
    table = ingest.run(films=1, pictures=4, repeats=2, side=64, png_side=48)
    assert table.count("x naive") == 1
    assert table.count("naive loop") == 4
    assert table.count("1.00 x") == 4


def test_every_pipeline_reads_every_format(tmp_path):
    formats = ingest.write_files(tmp_path, films=2, pictures=4, side=96, png_side=48)
    assert len(formats) == 4
    for folder in formats.values():
        for pipeline in filter(ingest.installed, ("naive", "torchxrayvision")):
            assert ingest.measure(pipeline, folder, 2)["rate"] > 0
    assert ingest.in_fresh_process("1", formats["DICOM, JPEG 2000"], 2)["rate"] > 0
