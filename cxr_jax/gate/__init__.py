"""Whether a film is one that the model may score: frontal, upright, whole, and usual.

`fit` makes a Gate of films of training, `judge` judges one film with it, and `Gate`
is stored as JSON. All but `fit` runs where there is numpy alone.
"""
