"""COVID-19 image data collection (Cohen et al.): chest X-rays from publications."""
