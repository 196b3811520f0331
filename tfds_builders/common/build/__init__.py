"""From a release to a prepared dataset: what all builders share."""
