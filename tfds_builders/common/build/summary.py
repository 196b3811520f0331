"""What build.py prints about a prepared dataset."""

from tfds_builders.common.counts import count_of
from tfds_builders.common.patient_names import advice
from tfds_builders.common.splits import GROUPS


def summary(builder) -> str:
    """What a prepared dataset holds, where it is, and how to read it."""
    metadata = builder.info.metadata
    splits = metadata["splits"]
    columns = list(next(iter(splits.values())))
    table = [["", *columns]]
    table += [
        [split, *(_cell(row[c]) for c in columns)] for split, row in splits.items()
    ]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [f"{builder.info.full_name}, release {metadata['release']}"]
    if metadata["synthetic"]:
        lines.append("SYNTHETIC: drawn by a program, not radiographs of people.")
    lines.append("")
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells))
    empty = [split for split, row in splits.items() if not row["images"]]
    if empty:
        lines.append(f"  Empty, so not stored: {', '.join(empty)}.")
    for head, counts in (("", "counts"), ("Warning: ", "warnings")):
        found = [_line(head, key, n) for key, n in metadata[counts].items() if n]
        lines += ["", *found] if found else []
    if metadata.get("unit") == GROUPS:
        lines += ["", *advice(metadata.get("patients_suggested", ())).splitlines()]
    full_name = "/".join(filter(None, [builder.name, builder.builder_config.name]))
    root = str(builder.data_dir_root)
    lines += [
        "",
        f"Written to {builder.data_path}",
        "Read it with",
        "  import tensorflow_datasets as tfds",
        f"  data = tfds.data_source({full_name!r}, data_dir={root!r})",
    ]
    lines.append(f"  data[{next(s for s in splits if s not in empty)!r}][0]['image']")
    return "\n".join(lines)


def _line(head: str, key: str, number: int) -> str:
    kind, text = count_of(key)
    return f"  {head}{number:,} {text}{'; left out' * (kind == 'left_out')}"


def _cell(value) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
