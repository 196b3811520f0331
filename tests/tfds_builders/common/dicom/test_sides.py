"""Attributes that turn or change the picture: obeyed where clear, else counted."""

import numpy as np
import pytest
from dicom_writer import RAMP, make_header, save
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tfds_builders.common.dicom.radiograph import read_dicom, read_radiograph

# Different in every corner, and not square.
FILM = RAMP[:40].copy()
FILM[:9, :9] = 2000


def read(tmp_path, codes=FILM, **tags):
    return read_dicom(save(tmp_path / "a.dcm", make_header(codes, **tags)))


def plain(tmp_path, codes=FILM):
    return read(tmp_path, codes).pixels


def stored(patient, rows_to, columns_to):
    """How a film [H, W], seen as usual (L\\F), is stored in another orientation.

    patient[i, j]: i towards the feet, j towards the patient's left.
    """
    axes = {"F": (0, 1), "H": (0, -1), "L": (1, 1), "R": (1, -1)}
    (down, down_sign), (across, across_sign) = axes[columns_to], axes[rows_to]
    view = patient if down == 0 else patient.swapaxes(0, 1)
    assert {down, across} == {0, 1}
    return np.ascontiguousarray(view[::down_sign, ::across_sign])


@pytest.mark.parametrize("columns_to", ["F", "H", "L", "R"])
@pytest.mark.parametrize("rows_to", ["F", "H", "L", "R"])
def test_every_orientation_of_a_frontal_film(tmp_path, rows_to, columns_to):
    name = f"{rows_to}\\{columns_to}"
    if ("F" in name or "H" in name) != ("L" in name or "R" in name) or (
        {rows_to, columns_to} <= {"F", "H"} or {rows_to, columns_to} <= {"L", "R"}
    ):
        xray = read(tmp_path, PatientOrientation=[rows_to, columns_to])
        np.testing.assert_array_equal(xray.pixels, plain(tmp_path))
        assert xray.notes == ("dicom_orientation_unclear",)
        return
    codes = stored(FILM, rows_to, columns_to)
    xray = read(tmp_path, codes, PatientOrientation=[rows_to, columns_to])
    np.testing.assert_array_equal(xray.pixels, plain(tmp_path))
    assert xray.notes == ((f"dicom_turned:{name}",) if name != "L\\F" else ())
    assert (xray.rows, xray.columns) == codes.shape  # as stored


def test_mirrored_film_has_its_sides_exchanged(tmp_path):
    """The stored left is the patient's left: it has to be at the right."""
    codes = np.zeros((40, 64), np.uint16)
    codes[:, :10] = 4095
    pixels = read(tmp_path, codes, PatientOrientation=["R", "F"]).pixels
    assert pixels[:, -10:].min() == 65535 and pixels[:, :-10].max() == 0


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize(
    ("value", "view", "notes"),
    [
        (None, "AP", ()),
        ("", "AP", ()),
        (["L", "F"], "PA", ()),
        (["LP", "FA"], "PA", ()),  # refinements: mainly L and F
        (["RA", "F"], "PA", ("dicom_turned:R\\F",)),
        (["A", "F"], "LL", ()),  # a lateral film
        (["P", "F"], "RL", ()),
        (["P", "F"], "PA", ("dicom_orientation_unclear",)),
        (["A", "H"], "LL", ("dicom_orientation_unclear",)),
        (["A", "R"], "", ("dicom_orientation_unclear",)),
        ("L", "AP", ("dicom_orientation_unclear",)),
        (["L", "F", "A"], "AP", ("dicom_orientation_unclear",)),
        (["?", "!"], "AP", ("dicom_orientation_unclear",)),
        (["LE", "V"], "AP", ("dicom_orientation_unclear",)),
    ],
)
def test_other_values(tmp_path, value, view, notes):
    xray = read(tmp_path, PatientOrientation=value, ViewPosition=view)
    assert xray.notes == notes
    if "turned" not in "".join(notes):
        np.testing.assert_array_equal(xray.pixels, plain(tmp_path))


@pytest.mark.parametrize(
    ("cosines", "notes"),
    [
        ([1, 0, 0, 0, 0, -1], ()),  # x is towards the left, z towards the head
        ([-1, 0, 0, 0, 0, -1], ("dicom_turned:R\\F",)),
        ([0.99, 0.1, 0, 0, 0.05, -0.99], ()),
        ([1, 0, 0, 0, 0, 1], ("dicom_turned:L\\H",)),
        ([1, 0, 0, 0, 1, 0], ("dicom_orientation_unclear",)),  # axial
    ],
)
def test_direction_cosines_where_there_is_no_orientation(tmp_path, cosines, notes):
    assert read(tmp_path, ImageOrientationPatient=cosines).notes == notes
    both = read(
        tmp_path, ImageOrientationPatient=cosines, PatientOrientation=["L", "F"]
    )
    assert both.notes == ()


def lut_sequence():
    item = Dataset()
    item.LUTExplanation = "x"
    return Sequence([item])


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"PresentationLUTShape": "INVERSE"}, "dicom_ignored:PresentationLUTShape"),
        ({"PresentationLUTShape": "IDENTITY"}, None),
        ({"PresentationLUTShape": "LIN OD"}, "dicom_ignored:PresentationLUTShape"),
        (
            {"PresentationLUTShape": "IDENTITY", "polarity": "MONOCHROME1"},
            "dicom_ignored:PresentationLUTShape",
        ),
        ({"PresentationLUTShape": "INVERSE", "polarity": "MONOCHROME1"}, None),
        (
            {"PresentationLUTSequence": lut_sequence()},
            "dicom_ignored:PresentationLUTSequence",
        ),
        ({"ShutterShape": "RECTANGULAR"}, "dicom_ignored:ShutterShape"),
        ({"ImageHorizontalFlip": "Y"}, "dicom_ignored:ImageHorizontalFlip"),
        ({"ImageHorizontalFlip": "N"}, None),
        ({"ImageRotation": 90}, "dicom_ignored:ImageRotation"),
        ({"ImageRotation": 0}, None),
        ({"VOILUTSequence": Sequence([Dataset()])}, "dicom_ignored:VOILUTSequence"),
        ({"ModalityLUTSequence": lut_sequence()}, "dicom_ignored:ModalityLUTSequence"),
        ({"WindowCenter": "9"}, "dicom_ignored:WindowCenter"),
        ({"WindowWidth": "9"}, "dicom_ignored:WindowWidth"),
        ({"PixelAspectRatio": ["2", "1"]}, "dicom_pixels_not_square"),
        ({"PixelAspectRatio": ["1", "1"]}, None),
        ({"PixelSpacing": ["0.2", "0.1"]}, "dicom_pixels_not_square"),
        ({"ImagerPixelSpacing": ["0.2", "0.2005"]}, None),
        ({"PresentationIntentType": "FOR PROCESSING"}, "dicom_for_processing"),
        ({"PresentationIntentType": "FOR PRESENTATION"}, None),
    ],
)
def test_attributes_that_are_counted(tmp_path, tags, note):
    polarity = tags.get("polarity", "MONOCHROME2")
    xray = read(tmp_path, **tags)
    assert xray.notes == ((note,) if note else ())
    expected = read(tmp_path, polarity=polarity).pixels
    np.testing.assert_array_equal(xray.pixels, expected)


def group(macro, **values):
    item, found = Dataset(), Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    setattr(found, macro, Sequence([item]))
    return found


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("macro", "values"),
    [
        ("FrameVOILUTSequence", {"WindowCenter": "800", "WindowWidth": "500"}),
        (
            "FrameVOILUTSequence",
            {"WindowCenter": "800", "WindowWidth": "90", "VOILUTFunction": "SIGMOID"},
        ),
        (
            "PixelValueTransformationSequence",
            {"RescaleSlope": "-1", "RescaleIntercept": "5", "RescaleType": "US"},
        ),
        ("PatientOrientationInFrameSequence", {"PatientOrientation": ["R", "F"]}),
        ("PlaneOrientationSequence", {"ImageOrientationPatient": [1, 0, 0, 0, 0, 1]}),
    ],
)
def test_functional_groups_of_one_frame(tmp_path, shared, macro, values):
    """What they say is done as if it were in the header itself."""
    values = {name: value for name, value in values.items() if name != "RescaleType"}
    expected = read(tmp_path, **values)
    kind = "Shared" if shared else "PerFrame"
    groups = {f"{kind}FunctionalGroupsSequence": Sequence([group(macro, **values)])}
    xray = read(tmp_path, NumberOfFrames=1, **groups)
    np.testing.assert_array_equal(xray.pixels, expected.pixels)
    assert (xray.pixels != plain(tmp_path)).any()
    assert xray.notes == (*expected.notes, "dicom_functional_groups")


def test_group_of_the_frame_goes_before_the_shared_one(tmp_path):
    window = {"WindowCenter": "800", "WindowWidth": "500"}
    groups = {
        "SharedFunctionalGroupsSequence": Sequence(
            [group("FrameVOILUTSequence", WindowCenter="9", WindowWidth="9")]
        ),
        "PerFrameFunctionalGroupsSequence": Sequence(
            [group("FrameVOILUTSequence", **window)]
        ),
    }
    xray = read(tmp_path, WindowCenter="1", WindowWidth="1", **groups)
    np.testing.assert_array_equal(xray.pixels, read(tmp_path, **window).pixels)


def test_anatomy_alone_changes_nothing(tmp_path):
    item = group("FrameAnatomySequence", FrameLaterality="R")
    xray = read(tmp_path, SharedFunctionalGroupsSequence=Sequence([item]))
    np.testing.assert_array_equal(xray.pixels, plain(tmp_path))
    assert xray.notes == ()


def test_pydicom_is_counted_and_not_heard(tmp_path, capfd, recwarn):
    header = make_header(FILM, SpecificCharacterSet="ISO_IR 999", PatientName="A^B")
    path = save(tmp_path / "a.dcm", header)
    recwarn.clear()
    notes = read_radiograph(path, "header").notes
    assert notes == ("dicom_unusual:charset", "dicom_names_person:PatientName")
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_films_of_one_grey_and_tiny_ones_are_named(tmp_path):
    flat = save(tmp_path / "flat\x1b.dcm", make_header(np.full((40, 40), 7, np.uint16)))
    assert read_radiograph(flat, "header").notes == ("films_of_one_grey:flat\\x1b.dcm",)
    dot = save(tmp_path / "dot.dcm", make_header(np.array([[7]], np.uint8), 8))
    assert read_radiograph(dot, "header").notes == (
        "films_too_small:dot.dcm",
        "films_of_one_grey:dot.dcm",
    )


@pytest.mark.parametrize("group", [0x6000, 0x601E, 0x60FE])
def test_an_overlay_is_counted_and_not_drawn(tmp_path, group):
    header = make_header(FILM)
    header.add_new((group, 0x3000), "OW", b"\xff" * 8)
    xray = read_dicom(save(tmp_path / "overlay.dcm", header))
    assert xray.notes == ("dicom_ignored:OverlayData",)
    np.testing.assert_array_equal(xray.pixels, plain(tmp_path))
