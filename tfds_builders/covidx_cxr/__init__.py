"""COVIDx CXR: chest X-rays gathered from many sources, by the lists of COVID-Net."""
