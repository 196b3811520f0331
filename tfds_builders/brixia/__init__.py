"""BrixIA COVID-19: chest X-rays with the Brixia severity score of six zones."""
