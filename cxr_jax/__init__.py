"""COVID-19 detection and pneumonia severity from chest X-rays, in JAX."""
