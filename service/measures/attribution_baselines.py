"""What attribution is compared with: scores that cost less, or nothing. Larger is more responsible, of test by train."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from service.errors import BadShape


def gradient_dot(
    train_features: Float[Tensor, "train width"], test_features: Float[Tensor, "test test_width"]
) -> Float[Tensor, "test train"]:
    """Inner products of gradients: what a small step on one example does for the output of another.

    Formula: <g(z), g_i>. Of loss gradients, -(1 - p) times those of the margin f, summed over checkpoints with their learning
    rates, it is TracIn. Projected gradients give it in expectation. Raises BadShape for features of different widths.
    Source: Pruthi et al. 2020, https://arxiv.org/abs/2002.08484, section 3
    """
    if train_features.shape[1] != test_features.shape[1]:
        raise BadShape(f"features need one width; got {train_features.shape[1]} and {test_features.shape[1]}")
    return test_features.double().cpu() @ train_features.double().cpu().T


def gradient_cosine(
    train_features: Float[Tensor, "train width"], test_features: Float[Tensor, "test test_width"]
) -> Float[Tensor, "test train"]:
    """The same of gradients of length 1, so that no example is responsible for all: cosines, -1 to 1; 0 for a gradient of 0.

    Formula: <g(z), g_i> / (|g(z)| |g_i|). Raises as `gradient_dot`.
    Source: Barshan et al. 2020, https://arxiv.org/abs/2003.11630; Hanawa et al. 2021, https://arxiv.org/abs/2006.04528
    """
    return gradient_dot(normalize(train_features.double()), normalize(test_features.double()))


def representation_similarity(
    train_states: Float[Tensor, "train width"], test_states: Float[Tensor, "test test_width"]
) -> Float[Tensor, "test train"]:
    """Cosines, -1 to 1, of states at one layer after the mean training state is taken away: the examples that look alike there.

    Formula: cos(h(z) - m, h_i - m), m the mean of h_i; without m all states of an anisotropic layer are alike. 0 for a state at
    the mean. Raises as `gradient_dot`. Source: Hanawa et al. 2021, https://arxiv.org/abs/2006.04528, section 3
    """
    train, test = train_states.double(), test_states.double()
    if train.shape[1] != test.shape[1]:
        raise BadShape(f"states need one width; got {train.shape[1]} and {test.shape[1]}")
    return gradient_cosine(train - train.mean(0), test - train.mean(0))


def random_scores(test: int, train: int, seed: int) -> Float[Tensor, "test train"]:
    """Standard Gaussian scores, which say nothing: what anything else has to beat."""
    return torch.randn(test, train, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
