"""DICOM radiographs in one convention."""
