"""Makes docs/example_report.html from a finished run: python docs/make/example_report.py RUN.

The report that the run has, but with thumbnails of 96 pixels: small enough to be shown
with the licences of the films, which `NOTICE` names.
"""

import pathlib
import sys
import tempfile

from cxr_jax.report import material, write
from docs.make.alone import without_files

SIDE = 96
NOTICE = (
    "<p class='note'>An example: trained for a few minutes on 1,113 films, whose classes come "
    "from different hospitals. Thumbnails: Winther et al., doi 10.6084/m9.figshare.12275009, "
    "CC BY 3.0 (COVID); NIH Clinical Center, Wang et al., CVPR 2017 (Normal, Lung_Opacity); "
    "Kermany et al. 2018, doi 10.17632/rscbjbr9sj, CC BY 4.0 (Normal, Viral Pneumonia); "
    "made smaller. Figures and tables beside the page are left out here.</p></header>"
)


def main(run: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = write.render(material.read(run), pathlib.Path(folder) / "report", SIDE)
        text = page.read_text(encoding="utf-8").replace("</header>", NOTICE, 1)
    out = pathlib.Path(__file__).parents[1] / "example_report.html"
    out.write_text(without_files(text), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
