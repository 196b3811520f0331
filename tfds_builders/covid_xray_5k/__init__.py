"""COVID-XRay-5K: web pictures of COVID-19 against films of CheXpert."""
