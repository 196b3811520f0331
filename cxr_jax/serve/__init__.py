"""A DICOM node: films come in by C-STORE, are scored, and results go out as DICOM."""
