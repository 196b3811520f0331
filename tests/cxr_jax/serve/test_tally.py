"""The text that Prometheus reads (exposition format 0.0.4)."""

import re

from cxr_jax.serve import tally
from cxr_jax.serve.tally import Tally


def test_the_text():
    counts = Tally()
    counts.add("films", "scored", 2)
    counts.add("films", "refused")
    counts.add("films", "scored")
    counts.add("starts")
    text = tally.text(counts.counts(), [("spool_bytes", "", 1.5e9)])
    assert text.splitlines() == [
        "# TYPE cxr_jax_node_films_total counter",
        'cxr_jax_node_films_total{kind="refused"} 1',
        'cxr_jax_node_films_total{kind="scored"} 3',
        "# TYPE cxr_jax_node_spool_bytes gauge",
        "cxr_jax_node_spool_bytes 1500000000",
        "# TYPE cxr_jax_node_starts_total counter",
        "cxr_jax_node_starts_total 1",
    ]
    line = re.compile(r'[a-z_]+(\{kind="[^"]*"\})? [0-9.e+-]+|# TYPE [a-z_]+ \w+')
    assert all(line.fullmatch(each) for each in text.splitlines())
