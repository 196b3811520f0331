"""The picture of the zones in the docs shows every zone and level."""

import xml.etree.ElementTree as ET

from places import REPOSITORY

from tfds_builders.common.zones import LEVELS, ZONES

DOCS = REPOSITORY / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def test_zones_svg_shows_six_zones_and_four_levels():
    path = DOCS / "zones.svg"
    assert path.stat().st_size < 100_000
    root = ET.parse(path).getroot()
    words = {text.text: text.attrib for text in root.iter(f"{SVG}text")}
    places = {
        zone: (float(words[zone]["x"]), float(words[zone]["y"])) for zone in ZONES
    }
    assert max(places[z][0] for z in "ABC") < min(places[z][0] for z in "DEF")
    for column in ("ABC", "DEF"):
        heights = [places[zone][1] for zone in column]
        assert heights == sorted(heights)
    assert {str(level) for level in range(LEVELS)} <= set(words)
    assert len(list(root.iter(f"{SVG}polygon"))) == len(ZONES)
    assert "zones.svg" in (DOCS / "zones.md").read_text()
