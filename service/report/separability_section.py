"""Do layers live in different spaces? As a section of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section

WHOLE = "and layer is null and from_layer = 0"
SEPARABILITY = Section(
    "Telling layers apart",
    "Can a single state's layer be told? A classifier is trained on whole texts and tested on others. Intervals are over "
    "choices of held-out texts. Then, with something taken away: the dimensions that contribute most, the norm, all but the "
    "weights' principal directions; and on another text.",
    (
        Chart(
            title="Accuracy by layer",
            query="select layer, classifier || ', ' || procedure as classifier, step, accuracy, accuracy_low, accuracy_high,\n"
            "       chance, seeds, test_texts, n_tested\nfrom lab.layer_separability\n{where}\n"
            "  and layer is not null and from_layer = 0\n"
            "qualify dense_rank() over (partition by model, dataset order by step desc nulls last, revision) = 1\n"
            "order by classifier, layer",
            x="layer",
            y="accuracy",
            x_title="layer (0 is the embedding)",
            y_title="share of states told rightly",
            series="classifier",
            subjects="lab.layer_separability",
            low="accuracy_low",
            high="accuracy_high",
        ),
        Chart(
            title="When do the layers part?",
            query="select step + 1 as step_plus_1, dataset, accuracy, accuracy_low, accuracy_high, within_one, chance\n"
            f"from lab.layer_separability\n{{where}}\n  {WHOLE} and step is not null and classifier = 'logistic'\n"
            "  and procedure = 'corrected'\norder by dataset, step",
            x="step_plus_1",
            y="accuracy",
            x_title="training step + 1",
            y_title="share of states told rightly",
            series="dataset",
            one_per=("model",),
            subjects="lab.layer_separability",
            low="accuracy_low",
            high="accuracy_high",
            logarithmic="x",
        ),
        Chart(
            title="How many dimensions decide",
            query="select rank, layer, dimension, contribution,\n"
            "       sum(contribution) over (partition by layer order by rank) as sum\n"
            "from lab.dimension_contributions\n{where}\n  and from_layer = 0 and procedure = 'corrected'\n"
            "qualify dense_rank() over (partition by model, dataset order by step desc nulls last, revision) = 1\n"
            "order by layer, rank",
            x="rank",
            y="sum",
            x_title="top dimensions",
            y_title="per cent of the decision",
            series="layer",
            subjects="lab.dimension_contributions",
        ),
        Chart(
            title="Without some dimensions",
            query="select amount, condition, accuracy, accuracy_low, accuracy_high, chance\nfrom lab.separability_ablations\n"
            f"{{where}}\n  {WHOLE} and question = 'masking' and procedure = 'corrected'\norder by condition, amount",
            x="amount",
            y="accuracy",
            x_title="dimensions masked",
            y_title="share of states told rightly",
            series="condition",
            subjects="lab.separability_ablations",
            low="accuracy_low",
            high="accuracy_high",
            logarithmic="x",
        ),
        Chart(
            title="Is it only the norm?",
            query="select condition, procedure, accuracy, accuracy_low, accuracy_high, chance\n"
            f"from lab.separability_ablations\n{{where}}\n  {WHOLE} and question = 'norm'\norder by procedure, accuracy",
            x="accuracy",
            y="condition",
            x_title="share of states told rightly",
            y_title="",
            series="procedure",
            subjects="lab.separability_ablations",
            kind="points",
            low="accuracy_low",
            high="accuracy_high",
        ),
        Chart(
            title="Trained on one text, tested on another",
            query="select dataset || ' → ' || tested_on as texts, condition, accuracy, accuracy_low, accuracy_high, chance\n"
            f"from lab.separability_transfer\n{{where}}\n  {WHOLE}\norder by condition, accuracy",
            x="accuracy",
            y="texts",
            x_title="share of states told rightly",
            y_title="",
            series="condition",
            one_per=("model",),
            subjects="lab.separability_transfer",
            kind="points",
            low="accuracy_low",
            high="accuracy_high",
        ),
        Chart(
            title="Accuracy against texts and tokens",
            query="select texts, length || ' tokens' as tokens, model, parameters, accuracy, accuracy_low, accuracy_high,\n"
            f"       chance\nfrom lab.separability_scaling\n{{where}}\n  {WHOLE}\norder by length, texts",
            x="texts",
            y="accuracy",
            x_title="texts",
            y_title="share of states told rightly",
            series="tokens",
            one_per=("model",),
            subjects="lab.separability_scaling",
            low="accuracy_low",
            high="accuracy_high",
        ),
        Chart(
            title="The same dimensions again? Overlap of the top ones",
            query="select layer, across || ', top ' || top as pairs_of, overlap, overlap_low, overlap_high, chance, pairs\n"
            "from lab.separability_stability\n{where}\n  and from_layer = 0\norder by across, top, layer",
            x="layer",
            y="overlap",
            x_title="layer (0 is the embedding)",
            y_title="share in common",
            series="pairs_of",
            subjects="lab.separability_stability",
            low="overlap_low",
            high="overlap_high",
        ),
    ),
    (
        Listing(
            "Confusions",
            "select model, step, dataset, classifier, layer, predicted, n, share\nfrom lab.layer_confusion\n{where}\n"
            "  and procedure = 'corrected' and from_layer = 0 and n > 0\n"
            "order by model, dataset, step, classifier, layer, predicted",
            ("model", "dataset"),
        ),
        Listing(
            "How many dimensions make half and nine tenths of the decision",
            "select model, step, dataset, procedure, layer, width, dimensions_for_half, gaussian_for_half,\n"
            "       dimensions_for_nine_tenths, gaussian_for_nine_tenths\nfrom lab.contribution_shares\n{where}\n"
            "  and from_layer = 0\norder by model, dataset, step, procedure, layer",
            ("model", "dataset"),
        ),
        Listing(
            "Rank of the weights",
            "select model, step, dataset, from_layer, width, rank, effective_rank, effective_rank_std_error\n"
            "from lab.separability_weight_rank\n{where}\norder by model, dataset, step",
            ("model", "dataset"),
        ),
        Listing(
            "The study's own procedure beside the corrected one",
            "select model, step, dataset, question, condition, amount, released, corrected, difference\n"
            "from lab.separability_released_and_corrected\n{where}\n  and layer is null and from_layer = 0\n"
            "order by model, dataset, step, question, condition, amount",
            ("model", "dataset"),
        ),
    ),
)
