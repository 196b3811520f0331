"""The page, as DCMTK takes it out."""

import re
import subprocess
import zlib

from node_results import content, judged, program, scored

from cxr_jax.serve.objects import make


def words(page: bytes) -> int:
    """How many times text is drawn, by the operators of the content streams."""
    count = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", page, re.DOTALL):
        try:
            plain = zlib.decompress(stream)
        except zlib.error:
            continue
        count += len(re.findall(rb"T[jJ]\b", plain))
    return count


def test_dcmtk_takes_out_the_page(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    [made] = make(film, result, brixia, ["pdf"])
    (tmp_path / "page.dcm").write_bytes(content(made))
    command = [program("dcm2pdf"), tmp_path / "page.dcm", tmp_path / "page.pdf"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    page = (tmp_path / "page.pdf").read_bytes()
    assert page.startswith(b"%PDF-")
    assert page.rstrip(b"\0").endswith(b"%%EOF\n")
    assert (
        page[: made.EncapsulatedDocumentLength]
        == made.EncapsulatedDocument[: made.EncapsulatedDocumentLength]
    )
    assert len(re.findall(rb"/Type /Page\b", page)) == 1


def test_a_refused_film_has_a_shorter_page(brixia, tmp_path):
    pages = []
    for found in (
        scored(brixia, tmp_path),
        judged(brixia, tmp_path, "refused"),
    ):
        [made] = make(*found, brixia, ["pdf"])
        pages.append(bytes(made.EncapsulatedDocument))
    assert words(pages[1]) < words(pages[0])


def test_it_names_no_patient(brixia, tmp_path):
    film, result = scored(brixia, tmp_path, PatientName="Zzyzx^Qqq")
    [made] = make(film, result, brixia, ["pdf"])
    page = bytes(made.EncapsulatedDocument)
    streams = [page]
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", page, re.DOTALL):
        try:
            streams.append(zlib.decompress(stream))
        except zlib.error:
            continue
    assert not any(b"Zzyzx" in each or b"Qqq" in each for each in streams)
    assert made.PatientName == "Zzyzx^Qqq"
