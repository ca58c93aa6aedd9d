"""Isoscope: a microscope for the geometry of learned representations."""

import os

# Threads that spin while they wait make small tensor work twenty times slower as soon as another process wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
