"""COVIDGR-1.0: chest X-rays with and without COVID-19, with severity."""
