"""Near-duplicate pictures: copies that were cropped, resized, re-encoded or flipped."""
