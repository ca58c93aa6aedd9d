"""What edits achieve and what they break, as sections of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section

FRONT = "Pareto front"
NETWORK = ("model", "step", "dataset", "revision")
# of each method the constraint that succeeds most, and its edits
BEST = """\
with chosen as (
  select model, step, revision, method, layer, limited_to, dataset, corruptions from lab.edit_tradeoff
{where}
  and task is null and success is not null
  qualify row_number() over (
    partition by method order by corruptions desc, success desc, robustness_change desc, layer, limited_to
  ) = 1
), kept as (
  select c.method || ', ' || c.limited_to as line, c.dataset, e.edit_id
  from chosen c join lab.edits e on e.model = c.model and e.revision = c.revision and e.method = c.method
    and e.layer is not distinct from c.layer and e.limited_to = c.limited_to and e.step is not distinct from c.step
    and e.origin is null
)"""
TRADE_OFF = Section(
    "What edits achieve, and what they cost",
    "Each point is a method of editing under one constraint: the mean over tasks and seeds of how often held-out cases come "
    "out as asked, against the accuracy that is lost under corruptions. To the right and low is best; what nothing else beats "
    "in both is on the front. Bars are 95 % intervals over edits.",
    (
        Chart(
            title="Robustness lost against success",
            query="with points as (\n  select method || coalesce(' at ' || layer, '') as line, success,\n"
            "         -robustness_change as lost, limited_to, edits, tasks, seeds, success_low, success_high,\n"
            "         -robustness_change_high as low, -robustness_change_low as high, locality, clean_change, share_changed,\n"
            "         families, corruptions,\n"
            "         coalesce(rank, 0) + coalesce(alpha, 0) as freedom, on_front\n"
            "  from lab.edit_tradeoff\n{where}\n  and task is null and success is not null\n)\n"
            "select line, success, lost, limited_to, edits, tasks, seeds, success_low, success_high, low, high, locality,\n"
            "       clean_change, share_changed, families, corruptions, freedom from points\n"
            f"union all\nselect '{FRONT}', success, lost, line || ', ' || limited_to, edits, tasks, seeds, success_low,\n"
            "       success_high, null, null, locality, clean_change, share_changed, families, corruptions, success\n"
            "from points where on_front\norder by line, freedom",
            x="success",
            y="lost",
            x_title="share of held-out cases that come out as asked",
            y_title="accuracy lost under corruptions",
            series="line",
            one_per=NETWORK,
            subjects="lab.edit_tradeoff",
            low="low",
            high="high",
            dashed=FRONT,
            level=0.0,
        ),
    ),
    (
        Listing(
            "Trade-off by method and constraint",
            "select model, step, task, method, layer, limited_to, edits, tasks, seeds, success, success_low, success_high,\n"
            "       exemplar_success, corrupted_success, generality, locality, clean_change, robustness_change,\n"
            "       robustness_change_low, robustness_change_high, effective_robustness_change, calibration_change,\n"
            "       share_changed, converged, families, corruptions, on_front, dataset\n"
            "from lab.edit_tradeoff\n{where}\norder by model, step, dataset, corruptions desc, task nulls first, success desc",
            ("model", "dataset"),
        ),
        Listing(
            "Are edits monotone along alpha?",
            "select model, step, task, method, layer, seed, alphas, alpha_min, alpha_max, success_steps, success_falls,\n"
            "       success_falls_beyond_noise, robustness_steps, robustness_rises, robustness_rises_beyond_noise, dataset\n"
            "from lab.edit_alpha\n{where}\norder by model, step, method, layer, task, seed, dataset",
            ("model", "dataset"),
        ),
    ),
)
BROKEN = Section(
    "What edits break",
    "Of each method the constraint that succeeds most, beside the untouched network: accuracy as corruptions grow, and which "
    "layers the edit moved. Bars are two standard errors over tasks and seeds. The causal trace says "
    "where in a decoder its own answer comes from: how much of that comes back, after noise on the subject, when a layer's "
    "state is restored, or what the MLPs around it give.",
    (
        Chart(
            title="Accuracy by severity of corruptions",
            query=f"{BEST}, of_edits as (\n  select k.line, k.edit_id, r.severity, avg(r.accuracy) as accuracy,\n"
            "         avg(r.untouched_accuracy) as untouched, count(*) as families\n  from kept k\n"
            "  join lab.edit_robustness r on r.edit_id = k.edit_id and r.dataset = k.dataset group by all\n)\n"
            "select line, severity, avg(accuracy) as accuracy, stddev_samp(accuracy) / sqrt(count(*)) as std_error,\n"
            "       count(*) as edits, max(families) as families\nfrom of_edits group by all\n"
            "union all\nselect 'untouched', severity, avg(untouched), null, count(*), max(families)\n"
            "from of_edits group by all\norder by line, severity",
            x="severity",
            y="accuracy",
            x_title="severity (0 is clean)",
            y_title="share of predictions that are right, mean over corruptions",
            series="line",
            one_per=NETWORK,
            subjects="lab.edit_tradeoff",
            error="std_error",
            reference="untouched",
        ),
        Chart(
            title="Which layers moved",
            query=f"{BEST}\nselect k.line, d.layer, any_value(d.layer_name) as layer_name, avg(d.compared) as angle,\n"
            "       stddev_samp(d.compared) / sqrt(count(*)) as std_error, count(*) as edits\n"
            "from kept k join lab.edit_drift d on d.edit_id = k.edit_id\n"
            "where d.measure = 'procrustes_angular' and d.compared is not null\ngroup by all order by k.line, d.layer",
            x="layer",
            y="angle",
            x_title="layer (0 is the embedding)",
            y_title="angle to the states before, radians",
            series="line",
            one_per=NETWORK,
            subjects="lab.edit_tradeoff",
            error="std_error",
        ),
        Chart(
            title="Where its own answer is recalled",
            query="select restored || ' at ' || place as line, layer, effect, std_error, n, task, answer, answer_probability,\n"
            "       restored_layers, note from lab.causal_trace\n{where}\norder by restored, place, layer",
            x="layer",
            y="effect",
            x_title="layer that is restored",
            y_title="probability of the network's own answer that comes back",
            series="line",
            one_per=("model", "step", "task", "task_id"),
            subjects="lab.causal_trace",
            error="std_error",
        ),
    ),
    (
        Listing(
            "Edits",
            "select model, step, task, method, layer, limited_to, seed, steps, learning_rate, exemplars, exemplar_success,\n"
            "       success, success_std_error, success_before, generality, locality, weights_changed, converged,\n"
            "       loss_before, loss_after, note, dataset\n"
            "from lab.edits\n{where}\norder by converged, search nulls first, model, step, task, method, layer, limited_to,\n"
            "         seed",
            ("model", "dataset"),
        ),
    ),
)
