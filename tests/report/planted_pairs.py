"""Rows of ``lab.network_dissimilarity``, as a table, from points whose distances they are."""

from __future__ import annotations

import duckdb
import numpy as np

COLUMNS = {
    "model_a": "varchar", "step_a": "bigint", "layer_a": "int", "stream_a": "varchar", "revision_a": "varchar",
    "model_b": "varchar", "step_b": "bigint", "layer_b": "int", "stream_b": "varchar", "revision_b": "varchar",
    "dataset": "varchar", "measure": "varchar", "positions": "varchar", "without_top": "int", "value": "double",
    "null_mean": "double", "above_null": "double", "z": "double", "p": "double", "permuted": "varchar", "pairs": "bigint",
    "larger_is_more_alike": "boolean", "symmetric": "boolean", "note": "varchar",
}  # fmt: skip


class Pairs:
    """Schema ``lab`` with networks at known places, as far as a test has them compared."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("create schema lab")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        self.connection.execute(f"create table lab.network_dissimilarity ({columns})")

    def plant(self, rows):
        marks = ", ".join([f"({', '.join('?' * len(COLUMNS))})"] * len(rows))
        values = [row.get(name) for row in rows for name in COLUMNS]
        self.connection.execute(f"insert into lab.network_dissimilarity values {marks}", values)

    def compare(self, a, b, distance, layers=(3, 3), steps=(100, 100), **more):
        """All layers of `a` with all of `b`; `distance` is of two sites."""
        shared = {"model_a": a, "step_a": steps[0], "revision_a": f"r{steps[0]}"}
        shared |= {"model_b": b, "step_b": steps[1], "revision_b": f"r{steps[1]}", "dataset": "enwik8"}
        shared |= {"measure": "procrustes_angular", "positions": "all", "without_top": 0, "null_mean": 1.5, "pairs": 99}
        shared |= {"larger_is_more_alike": False, **more}
        rows = []
        for i in range(layers[0]):
            for j in range(layers[1]):
                value = float(distance((a, i), (b, j)))
                above = value - shared["null_mean"]
                rows.append({**shared, "layer_a": i, "layer_b": j, "value": value, "above_null": above})
        self.plant(rows)


def places(networks, layers=3, dimension=2, seed=0):
    """A place for each site: networks apart, layers on a path."""
    draw = np.random.default_rng(seed)
    sites = [(network, layer) for network in networks for layer in range(layers)]
    starts = {network: draw.normal(size=dimension) for network in networks}
    steps = {network: 0.3 * draw.normal(size=dimension) for network in networks}
    return {(network, layer): 0.2 * (starts[network] + layer * steps[network]) for network, layer in sites}


def apart(at):
    """The distance of two sites by their places."""
    return lambda a, b: np.linalg.norm(at[a] - at[b])
