"""`--mode=view`: the page of a bundle, on this machine alone."""
