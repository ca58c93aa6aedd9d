"""The Gaussian cloud beside a cloud: what an estimator says of the spectrum alone."""

from __future__ import annotations

from typing import cast

import torch

from service.measures.declaration import Cloud
from service.measures.repeated import distinct
from service.measures.spectrum import axes, spectrum

SEED = 20240322


def gaussian_twin(cloud: Cloud) -> Cloud:
    """As many Gaussian points as the cloud has distinct ones, with its spectrum, shape (distinct, rank), float32.

    Distances do not feel rotation, so the axes stand for the directions. Drawn once for a cloud, from a fixed seed, so
    that twins of equal size differ by their spectra alone. Needs points that differ.
    """
    if "gaussian" not in cloud.cache:
        values = spectrum(cloud) if len(spectrum(cloud)) else axes(cloud).values
        generator = torch.Generator().manual_seed(SEED)
        normal = torch.randn(len(distinct(cloud)), len(values), generator=generator)
        scales = (values / values[0]).sqrt().float().to(cloud.points.device)
        cloud.cache["gaussian"] = Cloud(normal.to(cloud.points.device) * scales)
    return cast(Cloud, cloud.cache["gaussian"])
