"""A real DuckDB file with the public views' names and columns, filled by a seeded generator of plausible values."""

from __future__ import annotations

import math
import random

import duckdb
import pytest

ANISOTROPY = (
    "model, kind, step, dataset, layer, stream, anisotropy, std_error, anisotropy_not_first, anisotropy_not_special, "
    "anisotropy_uncentred, mean_cosine, mean_cosine_not_first, effective_rank, participation_ratio, outlier_share, "
    "n_used, revision"
)
DIMENSION = (
    "model, kind, step, dataset, layer, stream, twonn, std_error, twonn_not_first, twonn_not_special, twonn_gaussian, "
    "mle, mle_std_error, mle_gaussian, n_used, n_dropped, note, revision"
)
NORMS = (
    "model, kind, step, dataset, layer, stream, norm_min, norm_mean, norm_max, norm_mean_std_error, "
    "norm_mean_not_first, norm_max_not_first, revision"
)
LOSS = "model, kind, step, dataset, loss, tokens, revision"
MODELS = "model, family, kind, layers, width, parameters, seed"
METRICS = (
    "model, kind, step, revision, dataset, layer, stream, measure, version, procedure, positions, detail, value, "
    "std_error, n_used, n_dropped, note, site_id, run_id, measured_at"
)
VIEWS = {
    "anisotropy_by_layer": ANISOTROPY,
    "intrinsic_dimension_by_layer": DIMENSION,
    "norms_by_layer": NORMS,
    "loss_by_checkpoint": LOSS,
    "models": MODELS,
    "layer_metrics": METRICS,
}
TEXTUAL = {
    "model",
    "kind",
    "family",
    "dataset",
    "stream",
    "revision",
    "note",
    "measure",
    "procedure",
    "positions",
    "detail",
    "site_id",
    "run_id",
}
WHOLE = {"step", "layer", "layers", "width", "parameters", "seed", "tokens", "n_used", "n_dropped", "version"}


def column_type(name):
    if name == "measured_at":
        return "timestamp"
    return "varchar" if name in TEXTUAL else "bigint" if name in WHOLE else "double"


class Lab:
    """Schema ``lab`` as tables, into which a test plants what it wants to see."""

    def __init__(self, path):
        self.database = duckdb.connect(str(path))
        self.database.execute("create schema lab")
        self.pending = {}
        for view, columns in VIEWS.items():
            listed = ", ".join(f"{name} {column_type(name)}" for name in columns.split(", "))
            self.database.execute(f"create table lab.{view} ({listed})")

    def add(self, view, **values):
        self.pending.setdefault((view, tuple(values)), []).append(tuple(values.values()))

    @property
    def connection(self):
        """The open connection, once everything that was planted is in the file."""
        for (view, names), rows in self.pending.items():
            marks = ", ".join([f"({', '.join('?' * len(names))})"] * len(rows))
            planted = [value for row in rows for value in row]
            self.database.execute(f"insert into lab.{view} ({', '.join(names)}) values {marks}", planted)
        self.pending.clear()
        return self.database

    def model(self, model, kind="decoder"):
        self.add("models", model=model, family="gpt_neox", kind=kind, layers=6, width=128, parameters=1_000_000)

    def anisotropy(
        self,
        model,
        values,
        *,
        kind="decoder",
        step=100,
        dataset="python-reference",
        std_error=0.005,
        not_first=None,
        final=True,
        revision=None,
    ):
        """One checkpoint's anisotropy by depth, in both the wide and the long view."""
        rest = values if not_first is None else not_first
        for site, value, without in zip(sites(len(values), final), values, rest, strict=True):
            shared = dict(model=model, kind=kind, step=step, dataset=dataset, revision=revision or f"r{step}", **site)
            self.add(
                "anisotropy_by_layer", anisotropy=value, std_error=std_error, anisotropy_not_first=without, **shared
            )
            for positions, one in (("all", value), ("not-first", without)):
                self.add(
                    "layer_metrics",
                    measure="anisotropy",
                    version=1,
                    procedure="corrected",
                    positions=positions,
                    value=one,
                    std_error=std_error,
                    **shared,
                )

    def dimension(
        self,
        model,
        values,
        *,
        kind="decoder",
        step=100,
        dataset="python-reference",
        std_error=0.1,
        not_first=None,
        gaussian=None,
        final=True,
        revision=None,
    ):
        """One checkpoint's TwoNN by depth."""
        for place, site in enumerate(sites(len(values), final)):
            self.add(
                "intrinsic_dimension_by_layer",
                model=model,
                kind=kind,
                step=step,
                dataset=dataset,
                twonn=values[place],
                std_error=None if values[place] is None else std_error,
                twonn_not_first=(not_first or values)[place],
                twonn_gaussian=(gaussian or values)[place],
                revision=revision or f"r{step}",
                **site,
            )


def sites(depth, final):
    """Layers and streams of a network with `depth` sites, the last after the final norm if `final`."""
    streams = ["embedding"] + ["residual"] * (depth - 1 - final) + ["final"] * final
    return [{"layer": layer, "stream": stream} for layer, stream in enumerate(streams)]


def fill(lab, model, kind, dataset, steps, blocks=6, seed=0, final=True, revision=None):
    """A plausible training run: anisotropy grows into a dome, the dimension rises and falls, the loss goes down."""
    draw = random.Random(f"{seed} {model} {dataset}")
    depth = blocks + 1 + final
    dome = 0.6 if kind == "decoder" else 0.1
    for place, step in enumerate(steps):
        late = (place + 1) / len(steps)
        bell = [math.sin(math.pi * layer / (depth - 1)) for layer in range(depth)]
        values = [0.05 + dome * late * height + draw.gauss(0, 0.004) for height in bell]
        rest = [0.05 + 0.3 * dome * late * height for height in bell]
        lab.anisotropy(
            model, values, kind=kind, step=step, dataset=dataset, not_first=rest, final=final, revision=revision
        )
        rise = 4 + 9 * math.exp(-(((late - 0.55) / 0.25) ** 2))
        sizes = [rise * (1 + 0.4 * height) + draw.gauss(0, 0.1) for height in bell]
        lab.dimension(
            model,
            sizes,
            kind=kind,
            step=step,
            dataset=dataset,
            std_error=0.25,
            final=final,
            revision=revision,
            not_first=[size * 1.05 for size in sizes],
            gaussian=[size * 2.2 for size in sizes],
        )
        for layer, site in enumerate(sites(depth, final)):
            mean = 3 * math.exp(0.35 * layer * late)
            lab.add(
                "norms_by_layer",
                model=model,
                kind=kind,
                step=step,
                dataset=dataset,
                norm_min=0.6 * mean,
                norm_mean=mean,
                norm_max=mean * (1.5 + 20 * late * bell[layer]),
                norm_mean_std_error=0.02 * mean,
                norm_mean_not_first=0.9 * mean,
                norm_max_not_first=1.4 * mean,
                revision=revision or f"r{step}",
                **site,
            )
        lab.add(
            "loss_by_checkpoint",
            model=model,
            kind=kind,
            step=step,
            dataset=dataset,
            tokens=10_000,
            loss=7.5 * math.exp(-1.6 * late) + 1 + draw.gauss(0, 0.03),
            revision=revision or f"r{step}",
        )


@pytest.fixture
def lab(tmp_path):
    """An empty one."""
    store = Lab(tmp_path / "published.duckdb")
    yield store
    store.database.close()


@pytest.fixture(scope="session")
def training():
    """Fill a store with a plausible training run."""
    return fill


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Two decoders and an encoder over five steps, on two datasets; for tests that only read."""
    store = Lab(tmp_path_factory.mktemp("trained") / "published.duckdb")
    for model, kind in (("narrow", "decoder"), ("wide", "decoder"), ("masked", "encoder")):
        for dataset in ("python-reference", "random-tokens"):
            fill(store, model, kind, dataset, [0, 1, 16, 256, 1000])
    yield store
    store.database.close()


@pytest.fixture
def released(lab, training):
    """One model of one checkpoint that has no step, as most on a hub."""
    training(lab, "stories260K-hf", "decoder", "test.txt", [None], revision="0123456789abcdef")
    return lab
