"""COVID-19 Radiography Database: chest X-rays of four classes."""
