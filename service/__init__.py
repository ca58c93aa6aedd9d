"""Isoscope: a microscope for the geometry of learned representations."""

import os

# Threads that spin while they wait make small tensor work twenty times slower as soon as another process wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Large tensors on large pages: first touching a block of 60 MB page by page takes longer than computing with it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__version__ = "0.1.0"
