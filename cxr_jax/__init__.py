"""COVID-19 detection and pneumonia severity from chest X-rays, in JAX."""

import os

# In a checkout configs/, docs/ and launch/ lie beside this folder; installed, in it.
if not os.path.isdir(os.path.join(__path__[0], "configs")):
    __path__.append(os.path.dirname(__path__[0]))
