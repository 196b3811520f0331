"""BrixIA's public annotations: Brixia scores by two radiologists of 192 films."""
