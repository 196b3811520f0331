"""The six Brixia zones: one order, used everywhere.

A, B, C are the upper, middle and lower zone of the lung on the left side of the
picture (the patient's right); D, E, F are those of the other lung.

    picture   left | right
    upper        A | D
    middle       B | E
    lower        C | F

Source: Borghesi and Maroldi 2020, doi 10.1007/s11547-020-01200-3; the order of
the stored scores is that of the BrixIA COVID-19 release (Signoroni et al. 2021,
doi 10.1016/j.media.2021.102046).
"""

ZONES = ("A", "B", "C", "D", "E", "F")

# What each zone becomes when the picture is mirrored left to right.
MIRRORED = (3, 4, 5, 0, 1, 2)

# Severity levels of one zone: 0 normal, 1 interstitial, 2 interstitial with some
# alveolar infiltrates, 3 mostly alveolar infiltrates.
LEVELS = 4
