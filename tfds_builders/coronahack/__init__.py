"""CoronaHack: children with and without pneumonia, and web pictures of COVID-19."""
