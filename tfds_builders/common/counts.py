"""Every count that a builder can make: its key, what was done about it, its words.

Builders count by key, metadata.json stores {key: number}, and only what prints makes
words of it. A count about one of several things has the key 'key:parameter', as
'dicom_names_person:PatientName'.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Count(NamedTuple):
    """What a number counts.

    Attributes:
      kind: 'left_out' of the dataset; 'repaired', so that it could be stored; or
        'noted' only.
      text: what follows the number; {} stands for the parameter of the key.
    """

    kind: Literal["left_out", "repaired", "noted"]
    text: str


COUNTS: dict[str, Count] = {
    # Files
    "files_unreadable": Count(
        "left_out", "files that cannot be read, listed in rejected.csv"
    ),
    "files_not_images": Count(
        "left_out", "files that are not images (image_folder lists them in skipped.csv)"
    ),
    "files_skipped": Count("left_out", "of these in {}"),
    "names_unlike_files": Count(
        "repaired",
        "file names of the tables in another case, or without or with another ending "
        "than the files",
    ),
    "images_coloured": Count("repaired", "colour images converted to grey"),
    "images_of_16_bits": Count(
        "repaired",
        "16-bit images whose values need {} bits, scaled to the whole range",
    ),
    "images_not_quite_opaque": Count(
        "repaired", "images with an alpha channel of at least 99 % opacity, dropped"
    ),
    "images_white_is_zero": Count(
        "repaired", "TIFF images in which 0 is white (MINISWHITE), inverted"
    ),
    "images_turned": Count(
        "repaired", "images turned upright as their EXIF orientation ({}) says"
    ),
    "films_of_one_grey": Count(
        "noted", "film that shows nothing but one grey value: {}"
    ),
    "films_too_small": Count(
        "noted", "film with a side of less than 32 pixels, which shows no chest: {}"
    ),
    "masks_thresholded": Count(
        "repaired", "masks with grey values (smooth edges), thresholded at half"
    ),
    "masks_taken_as_images": Count(
        "noted", "lung masks taken for films of their class, a published fault"
    ),
    "identical_files_left_out": Count(
        "left_out", "byte-identical copies of another image"
    ),
    "files_contradicted": Count(
        "left_out", "files whose rows in the table contradict each other"
    ),
    # Tables and lists of a release against its images
    "images_not_listed": Count(
        "left_out", "images that no table or list of the release names"
    ),
    "images_without_row": Count(
        "noted", "images without a row in the release's tables"
    ),
    "rows_without_image": Count(
        "noted", "rows of the release's tables or lists without an image on disk"
    ),
    "rows_repeated": Count(
        "repaired", "rows that repeat a file name; the first was used"
    ),
    "patient_rows_repeated": Count(
        "repaired", "rows that repeat a patient; the first was used"
    ),
    "tables_missing": Count("noted", "tables of the release that are missing"),
    "class_folders_missing": Count("noted", "class folders that are missing"),
    "numbers_unreadable": Count(
        "repaired", "ages and days that are not numbers, stored as unknown"
    ),
    "sources_misspelt": Count("repaired", "sources spelt rnsa, stored as rsna"),
    "images_without_source": Count("noted", "images without a source"),
    "images_without_licence": Count("noted", "images without a licence"),
    "images_in_other_folder": Count(
        "noted", "images in the folder of another split than their list's"
    ),
    "images_in_several_lists": Count(
        "repaired", "images in more than one list, used as test images"
    ),
    "labels_contradicted": Count("left_out", "images listed under more than one label"),
    "patients_without_image": Count(
        "noted", "patients of the release's table without an image"
    ),
    "severity_without_image": Count("noted", "severity scores without an image"),
    "consensus_missing": Count("noted", "test images without a consensus"),
    "consensus_without_image": Count(
        "noted", "rows of the consensus without a test image"
    ),
    "class_not_finding": Count(
        "noted", "images whose class is not the finding of their patient"
    ),
    # What a config does not want
    "lateral_left_out": Count("left_out", "lateral radiographs"),
    "view_unknown_left_out": Count("left_out", "radiographs of unknown view"),
    "without_mask_left_out": Count("left_out", "images without a lung mask"),
    "ct_volumes_left_out": Count("left_out", "CT volumes"),
    "ct_slices_left_out": Count("left_out", "CT slices"),
    "finding_unknown_left_out": Count("left_out", "images of unknown finding"),
    "finding_without_class": Count(
        "left_out", "images of a finding that belongs to no class: {}"
    ),
    # Class folders
    "images_outside_class_folders": Count(
        "left_out", "images outside the class folders"
    ),
    "images_of_second_tree": Count(
        "left_out", "images of a second tree beside train and test"
    ),
    "class_folders_of_other_case": Count(
        "repaired", "class folders spelt in another case than the same class elsewhere"
    ),
    "images_in_nested_folders": Count(
        "noted", "images in folders inside the class folders"
    ),
    "split_folders_empty": Count(
        "noted", "split folders without images, treated as missing"
    ),
    # Patients and copies
    "near_duplicate_groups": Count("noted", "groups of near-duplicates"),
    "near_duplicate_images": Count("noted", "images in groups of near-duplicates"),
    "near_duplicate_groups_of_several_classes": Count(
        "noted", "groups of near-duplicates with more than one class"
    ),
    "near_duplicate_groups_of_several_scores": Count(
        "noted", "groups of near-duplicates with more than one global score"
    ),
    "images_without_patient": Count(
        "noted", "images whose patient neither the release nor patients.csv names"
    ),
    "images_not_in_patients_csv": Count(
        "noted", "images that patients.csv does not list"
    ),
    "patients_joined_by_copies": Count(
        "repaired", "patients who share a copy of an image, treated as one"
    ),
    "patients_from_file_names": Count(
        "repaired",
        "images whose patient is not in the table and was read from the file name",
    ),
    "names_without_patient": Count(
        "noted", "CheXpert images whose file name holds no patient"
    ),
    "patient_id_constant": Count(
        "repaired",
        "DICOM headers that all have the same PatientID, treated as naming nobody",
    ),
    "test_subjects_with_other_images": Count(
        "noted", "test subjects with other images"
    ),
    "images_of_test_subjects_left_out": Count(
        "left_out", "other images of test subjects"
    ),
    "images_of_test_subjects_kept": Count(
        "noted", "other images of test subjects, kept in train and val"
    ),
    # How a released split leaks
    "patients_in_several_lists": Count(
        "noted", "patients in more than one of the release's lists"
    ),
    "patients_across_released_split": Count(
        "noted",
        "patients or near-duplicate groups on more than one side of the released split",
    ),
    "test_images_of_train_patients": Count(
        "noted", "images of the released test set whose patient is in its training set"
    ),
    "test_files_identical_to_train": Count(
        "noted",
        "files of the released test set byte-identical to one of its training set",
    ),
    "test_sources": Count("noted", "sources of {} in the release's test list"),
    "test_images_told_by_source": Count(
        "noted", "images of the release's test list whose source determines the label"
    ),
    "copies_identical": Count(
        "noted",
        "images of the folder {} that are byte-identical to one of an earlier folder "
        "(train, val, test)",
    ),
    "copies_of_same_pixels": Count(
        "noted",
        "images of the folder {} with the pixels of another file of an earlier folder",
    ),
    "patients_across_folders": Count(
        "noted",
        "patients or near-duplicate groups of the folder {} that are in an earlier "
        "folder too",
    ),
    "split_leaks": Count(
        "noted",
        "images of the folder {} that have a copy, or their patient, in an earlier "
        "folder (train, val, test): this split leaks",
    ),
    # DICOM
    "dicom_turned": Count(
        "repaired",
        "radiographs turned or mirrored so that the patient's right is at the left and "
        "the head up (their PatientOrientation is {})",
    ),
    "dicom_orientation_unclear": Count(
        "noted",
        "radiographs whose PatientOrientation is not that of a frontal film; they were "
        "left as they are",
    ),
    "dicom_ignored": Count("noted", "DICOM headers with {}, which was not applied"),
    "dicom_sign_doubtful": Count(
        "noted",
        "DICOM files that are far smoother with the other PixelRepresentation (signed or "
        "not) than with that of their header, which was obeyed",
    ),
    "dicom_rle_rows_torn": Count(
        "noted",
        "DICOM files in RLE with codes across the ends of some rows: bytes may be lost",
    ),
    "dicom_functional_groups": Count(
        "noted", "DICOM headers whose functional groups were obeyed"
    ),
    "dicom_pixels_not_square": Count(
        "noted", "radiographs whose pixels are not square; their shape was kept"
    ),
    "dicom_for_processing": Count(
        "noted",
        "radiographs for processing, not for presentation: raw values of the detector",
    ),
    "dicom_sign_contradicted": Count(
        "noted",
        "JPEG 2000 frames that are signed under an unsigned header or the reverse; the "
        "header was obeyed",
    ),
    "dicom_depth_contradicted": Count(
        "noted",
        "compressed frames of fewer bits than BitsStored; the values were kept",
    ),
    "dicom_bits_left_out": Count(
        "repaired",
        "radiographs with rubbish or an undeclared overlay above their BitsStored",
    ),
    "dicom_unusual": Count(
        "noted", "DICOM files of which pydicom warned (its part: {})"
    ),
    "dicom_polarity_contradicted": Count(
        "noted",
        "radiographs whose pixels contradict their photometric interpretation; the "
        "header was obeyed (--polarity=pixels obeys the pixels)",
    ),
    "dicom_polarity_corrected": Count(
        "repaired",
        "radiographs whose pixels contradict their photometric interpretation; the "
        "pixels were obeyed",
    ),
    "dicom_polarity_not_tables": Count(
        "noted",
        "DICOM headers whose photometric interpretation is not the table's; the header "
        "was obeyed",
    ),
    "dicom_names_person": Count(
        "noted",
        "DICOM headers that may name a person ({}); none of it was stored",
    ),
    "paths_name_patient": Count(
        "noted",
        "stored paths (example_id, file) that hold the PatientID or PatientName of "
        "their DICOM header",
    ),
}


# Counts that are printed as warnings: the user should look at these files.
WARNINGS = frozenset(
    (
        "films_of_one_grey",
        "films_too_small",
        "split_leaks",
        "dicom_turned",
        "dicom_orientation_unclear",
        "dicom_ignored",
        "dicom_for_processing",
        "dicom_sign_contradicted",
        "dicom_depth_contradicted",
        "dicom_bits_left_out",
        "dicom_polarity_contradicted",
        "dicom_polarity_corrected",
        "dicom_names_person",
        "paths_name_patient",
    )
)


def count_of(key: str) -> Count:
    """What a key of metadata.json counts, its parameter in the words.

    A dataset that version 0.1 prepared stores the words themselves, so a key that is
    not in the table stands for itself.
    """
    name, _, parameter = key.partition(":")
    if name not in COUNTS:
        return Count("noted", key)
    return COUNTS[name]._replace(text=COUNTS[name].text.replace("{}", parameter))


def warns(key: str) -> bool:
    """Whether a count is printed as a warning."""
    return key.partition(":")[0] in WARNINGS


def checked(counts: Mapping[str, int]) -> Mapping[str, int]:
    """The same counts.

    Raises:
      KeyError: a key is not in COUNTS, lacks its parameter or has one too many. It is
        a mistake in a builder, not in the user's files.
    """
    for key in counts:
        name, colon, _ = key.partition(":")
        if name not in COUNTS:
            raise KeyError(f"{key!r} is not in COUNTS of {__name__}")
        if bool(colon) != ("{}" in COUNTS[name].text):
            raise KeyError(f"{key!r} with its text {COUNTS[name].text!r}")
    return counts
