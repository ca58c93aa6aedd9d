"""The probes of one site, fitted for every seed, as rows and as directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.measures.concept_probe import Probe
from service.measures.layered import held_together
from service.measures.probe_fits import Agreement, LabelledCloud, ProbeFit, probe_fits, seed_agreements
from service.networks.concepts import LabelledConcept
from service.networks.loading import chosen_device
from service.results import SampledTokens, Summary
from service.storage.probe_directions import Direction
from service.subjects import Positions, Site

Row = dict[str, Any]


@dataclass(frozen=True)
class SiteFits:
    """What was found at one site: rows by table, and the directions of its L2 probes."""

    probes: list[Row]
    agreements: list[Row]
    directions: list[Direction]


def labelled_cloud(
    summary: Summary,
    concept: LabelledConcept,
    positions: Positions,
    documents: Mapping[int, int] | None,
    device: str = "cpu",
) -> tuple[LabelledCloud, SampledTokens]:
    """The states of a site that have a label and that a position filter keeps, and where they stand."""
    sample = summary.sample
    keep = sample.keep(positions) & concept.labels.known(sample.item_id)
    kept = replace(sample, **{name: values[keep] for name, values in vars(sample).items()})
    labels = concept.labels.of(kept.item_id, kept.char_end)
    states = summary.states[keep].float().to(chosen_device(device))
    return LabelledCloud(states, labels, held_together(kept.item_id, documents)), kept


def site_fits(
    site: Site, cloud: LabelledCloud, penalties: Sequence[str], seeds: Iterable[int], positions: str, folds: int
) -> SiteFits:
    """Every probe of a site, of the concept and of the control. Raises BadShape (too few items, constant states)."""
    about = {"site_id": site.site_id, "positions": positions, "folds": folds}
    rows: list[Row] = []
    kept: dict[int, Probe] = {}
    for penalty in penalties:
        for seed in seeds:
            fits = list(probe_fits(cloud, penalty, seed, folds))
            rows += [{**about, "seed": seed, **_fit_row(fit)} for fit in fits]
            if penalty == "l2":
                kept[seed] = next(fit.probe for fit in fits if fit.labels == "real")
    directions = [
        Direction(site.layer, site.stream, seed, probe.weights.cpu(), probe.bias) for seed, probe in kept.items()
    ]
    return SiteFits(rows, _agreement_rows(site, cloud, kept, positions, folds), directions)


def _fit_row(fit: ProbeFit) -> Row:
    probe, scores = fit.probe, fit.scores
    return {
        "penalty": probe.penalty,
        "strength": probe.strength,
        "labels": fit.labels,
        "accuracy": scores.accuracy,
        "balanced_accuracy": scores.balanced_accuracy,
        "auroc": scores.auroc,
        "chance": scores.chance,
        "positives": scores.positives,
        "n_train": fit.n_train,
        "n_test": fit.n_test,
        "share_of_weights_50": probe.share_of_weights(0.5),
        "share_of_weights_90": probe.share_of_weights(0.9),
        "nonzero": probe.nonzero,
        "converged": probe.converged,
        "note": fit.note,
    }


def _agreement_rows(
    site: Site, cloud: LabelledCloud, probes: Mapping[int, Probe], positions: str, folds: int
) -> list[Row]:
    seeds, own = list(probes), site.checkpoint.checkpoint_id
    return [
        agreement_row(
            "seeds", (own, own), site.layer, (seeds[a], seeds[b]), found, positions, folds, cloud.states.shape[1]
        )
        for a, b, found in seed_agreements(cloud, list(probes.values()))
    ]


def agreement_row(
    between: str,
    checkpoints: tuple[str, str],
    layer: int,
    seeds: tuple[int, int],
    found: Agreement,
    positions: str,
    folds: int,
    width: int | None,
) -> Row:
    """How far two probes agree, as a row; `width` of the space that they share, None where they share none."""
    return {
        "between": between,
        "checkpoint_a": checkpoints[0],
        "checkpoint_b": checkpoints[1],
        "layer": layer,
        "seed_a": seeds[0],
        "seed_b": seeds[1],
        "positions": positions,
        "folds": folds,
        "cosine": found.cosine,
        "width": width,
        "margin_correlation": found.margin_correlation,
        "places": found.places,
    }
