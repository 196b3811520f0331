"""The report of a finished run: one page of HTML, the same in Markdown, figures, tables."""
