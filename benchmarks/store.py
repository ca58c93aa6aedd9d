"""How fast the store records and answers, against the limits it is built to; by hand: ``python benchmarks/store.py``.

Recorded: 1,000,000 results of one run, through ``record``: the ledger's Parquet and the database. Asked: one model of
150 checkpoints x 40 layers in a store of 5,000,000 metric rows, through ``reading``, warm, with DuckDB's own number of
threads.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from itertools import product
from pathlib import Path

from sqlalchemy import text

from service.results import Estimate, LayerResult, NetworkFacts
from service.storage import answers
from service.storage.database import Store, open_store, publish, reading, writing
from service.storage.rows import Entry, Run, record
from service.subjects import Checkpoint, Dataset, content_id

ROWS, MODELS, STEPS, LAYERS = 1_000_000, 13, 150, 40
PLAIN = ("anisotropy", "anisotropy_uncentred", "mean_cosine", "effective_rank", "participation_ratio", "outlier_share")
PLAIN += ("twonn", "mle", "norm_min", "norm_mean", "norm_max", "linearity", "linearity_of_update")
POSITIONS = ("all", "not-first", "not-special")
SCALES = ("1", "2", "4", "8", "16", "32", "64", "1-gaussian")
VARIANTS = [
    *((measure, f"corrected/{positions}") for measure, positions in product(PLAIN, POSITIONS)),
    *((measure, f"corrected/{positions}/gaussian") for measure, positions in product(("twonn", "mle"), POSITIONS)),
    *(("gride", f"corrected/{positions}/scale-{scale}") for positions, scale in product(POSITIONS, SCALES)),
]
FACTS = NetworkFacts("gpt_neox", "decoder", LAYERS - 2, 768, 162_322_944, "float32", "cpu", "sdpa", LAYERS - 1)
DATASET = Dataset("python-reference", "pydoc_data.topics", "d" * 16, 128, 65_536)
FILL = (
    """insert into models
       select 'lab/network-' || n, 'gpt_neox', 'decoder', 38, 768, 162322944, null from range(:models) a(n)""",
    """insert into checkpoints
       select left(md5(model || '-' || s), 16), model, s * 1000, md5(model || '-' || s), null, null
       from models, range(:steps) b(s) where model like 'lab/%'""",
    """insert into runs
       select left(md5('run' || checkpoint_id), 16), 'measure_layers', checkpoint_id, 'python-reference', '{}', '0.1.0',
              0, 'cpu', null, timestamp '2026-01-01' + to_seconds(step), timestamp '2026-01-01' + to_seconds(step),
              1, 1, 1, 1 from checkpoints where model like 'lab/%'""",
    """insert into activations
       select left(md5(checkpoint_id || '-' || l), 16), checkpoint_id, 'python-reference', l,
              case when l = 0 then 'embedding' else 'residual' end, l, 4096, 768, 'float32', 'sdpa', 16000, 0, '', '',
              left(md5('run' || checkpoint_id), 16)
       from checkpoints, range(:layers) c(l) where model like 'lab/%'""",
    """insert into layer_metrics
       select site_id, v.measure, 1, v.variant, run_id, random(), random(), 4096, 0, null
       from activations join checkpoints using (checkpoint_id), variants v
       where model like 'lab/%' order by model, step, layer""",
)
QUESTIONS = {
    "one model's anisotropy, 150 checkpoints x 40 layers": (
        "select model, step, layer, anisotropy from lab.anisotropy_by_layer where model = 'lab/network-7'",
        100,
    ),
    "the same, every column": ("select * from lab.anisotropy_by_layer where model = 'lab/network-7'", None),
    "one model's intrinsic dimension": (
        "select model, step, layer, twonn from lab.intrinsic_dimension_by_layer where model = 'lab/network-7'",
        None,
    ),
    "one checkpoint of every model": ("select * from lab.anisotropy_by_layer where step = 5000", None),
    "one layer of one model, long form": (
        "select * from lab.layer_metrics where model = 'lab/network-7' and layer = 5 and measure = 'anisotropy'",
        None,
    ),
}


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def entry(name: str, sites: int) -> Entry:
    """One run of a checkpoint with every variant at `sites` sites."""
    checkpoint, now = Checkpoint(name, 0, "0" * 40), datetime(2026, 1, 1)
    run = Run(content_id(name), "measure_layers", {}, "0.1.0", 0, "cpu", None, now, now)
    results = [
        LayerResult(content_id(name, site), measure, 1, variant, Estimate(0.1 + site / 7, 0.01, 4096))
        for site in range(sites)
        for measure, variant in VARIANTS
    ]
    return Entry(run, checkpoint, FACTS, DATASET, [], [], results)


def fill(store: Store) -> int:
    """Bring the store to five million metric rows of thirteen models; how many it holds then."""
    numbers = {"models": MODELS, "steps": STEPS, "layers": LAYERS}
    with writing(store) as connection:
        connection.execute(text("create temp table variants (measure varchar, variant varchar)"))
        rows = [{"measure": measure, "variant": variant} for measure, variant in VARIANTS]
        connection.execute(text("insert into variants values (:measure, :variant)"), rows)
        for statement in FILL:
            connection.execute(text(statement), {name: n for name, n in numbers.items() if f":{name}" in statement})
        return int(connection.execute(text("select count(*) from layer_metrics")).scalar_one())


def main() -> None:
    print("| what | took | limit |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "small", 60)
        large = entry("large", -(-ROWS // len(VARIANTS)))
        took = seconds(lambda: record(store, large))
        print(f"| {len(large.results):,} metric rows recorded, ledger and database | {took:.2f} s | 10 s |")
        print(f"| publishing them | {seconds(lambda: publish(store)):.2f} s | |", flush=True)

        store = open_store(Path(folder) / "filled", 60)
        held = fill(store)
        publish(store)
        small = entry("small", LAYERS)
        print(
            f"| a run of {len(small.results):,} rows into {held:,} | {seconds(lambda: record(store, small)):.3f} s | |"
        )
        size = store.database.stat().st_size / 1e6
        print(f"| publishing after it ({size:.0f} MB) | {seconds(lambda: publish(store)):.3f} s | |")
        with reading(store) as connection:
            for name, (query, limit) in QUESTIONS.items():
                connection.execute(query).fetchall()
                times = [seconds(lambda query=query: connection.execute(query).fetchall()) * 1000 for _ in range(15)]
                found = f"median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms of 15"
                print(f"| {name} | {found} | {f'{limit} ms' if limit else ''} |", flush=True)
        query = QUESTIONS["one model's anisotropy, 150 checkpoints x 40 layers"][0]
        took = seconds(lambda: answers.ask(store, query)) * 1000
        print(f"| the first of them with a connection of its own, opened for it | {took:.0f} ms | |")


if __name__ == "__main__":
    main()
