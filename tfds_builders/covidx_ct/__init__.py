"""COVIDx CT: slices of chest CT of normal, pneumonia and COVID-19 patients."""
