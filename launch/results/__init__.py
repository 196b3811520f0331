"""Every figure of docs/results.md, made again from the data that are at hand."""
