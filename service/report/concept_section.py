"""Where concepts sit, and which training items made them: as sections of the report."""

from __future__ import annotations

from service.report.charts import Chart, Gallery, Listing, Section

# networks that were trained anew for a comparison: isoscope attribute names their ensembles so
RETRAINED = r"' without [a-z-]+-\d+ \([0-9a-f]+\)$|: (\d+ halves|wrong labels)$'"
OWN = f"(select * from lab.concept_probes where not regexp_matches(ensemble, {RETRAINED}))"
PROFILE = """\
with newest as (
  select labels, layer, accuracy, accuracy_std, chance, seeds, members
  from lab.concept_probes
{where}
  and penalty = 'l2' and positions = 'all'
  qualify dense_rank() over (order by model is null desc) = 1
    and dense_rank() over (partition by model order by step desc nulls last, revision, folds desc) = 1
), profiles as (
  select if(labels = 'real', 'concept', 'control: shuffled labels') as line, layer, avg(accuracy) as accuracy,
         coalesce(stddev_samp(accuracy), max(accuracy_std)) as spread, sum(members) as networks, min(seeds) as seeds
  from newest group by all
)
select line, layer, accuracy, accuracy - spread as low, accuracy + spread as high, networks, seeds from profiles
union all
select 'chance: the commoner class', layer, avg(chance), null, null, sum(members) filter (labels = 'real'), min(seeds)
from newest group by layer
order by line, layer"""
METHODS = (
    "list_position(['trak', 'trak-kernel', 'trak-released', 'gradient-cosine', 'representation', 'random'], method)"
)
EXTREMES = """\
select target_item, side, rank, train_item, score, preview, train_items, target_items, targets
from lab.attributions
{where}
  and rank <= 10
qualify target_item is null or dense_rank() over (order by target_item nulls last) <= 3
order by target_item nulls first, side desc, rank"""
LOCATION = Section(
    "Where concepts sit",
    "How well linear probes tell a concept from a layer's states, whole items held out. The band is one standard deviation to "
    "either side: over networks where the ensemble has several, else over choices of held-out items. What a probe learns of "
    "shuffled labels is its control. Networks that were trained anew without some items are in the tables, and further below.",
    (
        Chart(
            title="Accuracy by layer",
            query=PROFILE,
            x="layer",
            y="accuracy",
            x_title="layer (0 is the embedding)",
            y_title="share of held-out states told rightly",
            series="line",
            one_per=("concept", "ensemble", "dataset", "concept_id"),
            subjects=OWN,
            low="low",
            high="high",
            band=True,
            clipped=(0.0, 1.0),
            dashed="control: shuffled labels",
            reference="chance: the commoner class",
        ),
    ),
    (
        Listing(
            "Best layer and centre of gravity",
            "select concept, ensemble, model, step, dataset, positions, best_layer, best_layer_std, best_accuracy,\n"
            "       best_accuracy_std, best_selectivity, centroid, centroid_std, relative_centroid, seeds, members\n"
            "from lab.concept_location\n{where}\n"
            "order by concept, ensemble, step, members desc, model, dataset, positions",
            ("model", "ensemble", "dataset"),
        ),
        Listing(
            "Do the probes agree?",
            "select concept, other_concept, ensemble, model, step, other_step, dataset, layer, between, positions, cosine,\n"
            "       cosine_std, chance_cosine, margin_correlation, margin_correlation_std, pairs,\n"
            "       places\nfrom lab.concept_agreement\n{where}\n"
            "order by concept, between, other_concept, ensemble, model, step, other_step, dataset, positions, layer",
            ("model", "ensemble", "dataset"),
        ),
    ),
)
ORIGIN = Section(
    "Which training items made them",
    "The training items that count most for what networks say of the target items, and those that count most against it: the "
    "first ten of each end, with their scores, on each method's own scale. Random scores show what chance would bring up.",
    galleries=(
        Gallery(
            title="The most and the least responsible",
            query=EXTREMES,
            one_per=("output", "concept", "ensemble", "layer", "method", "dataset", "attribution_id"),
            subjects="lab.attributions",
            order=f"{METHODS}, concept, ensemble, layer, dataset, attribution_id",
        ),
    ),
)
TRUST = Section(
    "How far attributions can be trusted",
    "What an attribution foretells of networks that were trained on half of the items (linear datamodeling score), how many "
    "wrong labels it finds that were put in, and whether two halves of the ensemble agree. 0.5 is chance for an AUROC; for the "
    "others see the row of random scores. Bars are 95 % intervals.",
    (
        Chart(
            title="Quality of attributions",
            query="select quality || ', ' || method as judged, method, value, low, high, n, note\n"
            f"from lab.attribution_quality\n{{where}}\n  and value is not null\norder by quality desc, {METHODS} desc",
            x="value",
            y="judged",
            x_title="quality: 1 is best",
            y_title="",
            series="method",
            one_per=("output", "concept", "ensemble", "layer", "dataset", "targets"),
            subjects="lab.attribution_quality",
            kind="points",
            low="low",
            high="high",
            level=0.0,
        ),
    ),
    (
        Listing(
            "Quality of attributions",
            "select concept, output, ensemble, members, layer, method, quality, value, low, high, n, note, dataset, targets\n"
            f"from lab.attribution_quality\n{{where}}\norder by concept, output, ensemble, layer, quality, {METHODS}",
            ("ensemble", "dataset", "targets"),
        ),
    ),
)
