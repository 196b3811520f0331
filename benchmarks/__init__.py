"""Side-by-side timings, each printing ratios; see README.md."""
