"""What is left of a concept in networks that were trained without its items, as a section of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section

ONE_PER = ("concept", "ensemble", "attributed_layer", "method", "dataset", "concept_id")
VIEW = "lab.concept_counterfactuals"


def _curve(title: str, column: str, y_title: str, share: bool, chance: bool = False) -> Chart:
    """A column against the share of the items that were taken away: a line a way to choose them, from nothing taken on."""
    level = (
        "union all\nselect 'chance' as removal, removed, share_removed, networks, avg(chance), null, null\n"
        "from curve group by all\n"
        "union all\nselect 'untrained' as removal, removed, share_removed, networks, avg(untrained_accuracy), null, null\n"
        "from curve where untrained_accuracy is not null group by all\n"
        if chance
        else ""
    )
    return Chart(
        title=title,
        query=f"with curve as (\n  select removal, removed, share_removed, networks, chance,\n"
        f"         untrained_accuracy, {column} as value, {column}_low as low, {column}_high as high\n"
        f"  from {VIEW}\n{{where}}\n  and layer is null\n),\n"
        "ways as (select distinct removal as way from curve where removal <> 'none')\n"
        "select coalesce(way, removal) as removal, removed, share_removed, networks, value, low, high\n"
        f"from curve left join ways on removal = 'none'\n{level}order by removal, removed",
        x="share_removed",
        y="value",
        x_title="share of the training items taken away",
        y_title=y_title,
        series="removal",
        one_per=ONE_PER,
        subjects=VIEW,
        low="low",
        high="high",
        clipped=(0.0, 1.0) if share else None,
        aside=True,
        dashed="random",
        reference="chance" if chance else "",
    )


REMOVAL = Section(
    "What is left of a concept without its items",
    "Networks trained anew without the items that the concept is owed to (top), as many at random, those of the other end "
    "(bottom), exemplars of the concept itself, and others of the same classes as the top (class-matched). Every line begins "
    "at the networks that nothing was taken from. Bars are 95 % intervals over networks, drawn no further than a share can be; "
    "one network has none. Untrained: what probes tell of the same networks before their first step. Changes are between "
    "networks that began alike; a verdict stands where their interval decides it.",
    (
        _curve("Accuracy of the best layer's probe", "accuracy", "share of held-out states told rightly", True, True),
        _curve("Where the concept sits: its centre of gravity", "centroid", "layer, weighted by selectivity", False),
        _curve("What the networks are trained for", "network_accuracy", "share of items told rightly", True),
        Chart(
            title="Accuracy by layer, most items taken away",
            query="select if(removal = 'none', 'nothing', removal || ' ' || removed) as removal, layer, accuracy,\n"
            f"       accuracy_low, accuracy_high, selectivity, chance, networks\nfrom {VIEW}\n"
            "{where}\n  and layer is not null\nqualify removed = max(removed) over (partition by removal)\n"
            "order by removal, layer",
            x="layer",
            y="accuracy",
            x_title="layer (0 is the embedding)",
            y_title="share of held-out states told rightly",
            series="removal",
            one_per=ONE_PER,
            subjects=VIEW,
            reference="nothing",
        ),
    ),
    (
        Listing(
            "Does the concept move, fall to chance, is it spread over other items too?",
            "select concept, ensemble, method, attributed_layer, dataset, removal, removed, networks, moved, centroid_change,\n"
            "       centroid_change_low, centroid_change_high, at_chance, above_floor, above_floor_low, above_floor_high,\n"
            "       diffuse, against_random, against_random_low, against_random_high, spread_out, share_of_weights_50_change,\n"
            "       share_of_weights_50_change_low, share_of_weights_50_change_high\n"
            f"from {VIEW}\n{{where}}\n  and layer is null and removal <> 'none'\n"
            "order by concept, ensemble, method, attributed_layer, dataset, removal, removed",
            ("ensemble", "dataset", "probed_on"),
        ),
        Listing(
            "Means over networks",
            "select concept, ensemble, method, attributed_layer, dataset, probed_on, removal, removed, share_removed, layer,\n"
            "       networks, accuracy, accuracy_low, accuracy_high, accuracy_change, accuracy_change_low,\n"
            "       accuracy_change_high, untrained_accuracy, kept_layer, kept_layer_accuracy, auroc, selectivity, chance,\n"
            "       share_of_weights_50, centroid, centroid_low, centroid_high, centroid_change, network_accuracy\n"
            f"from {VIEW}\n{{where}}\n"
            "order by concept, ensemble, method, attributed_layer, dataset, layer nulls first, removal, removed",
            ("ensemble", "dataset", "probed_on"),
        ),
    ),
)
