create view lab.edits as
with newest as (
    select
        e.edit_id, e.checkpoint_id, e.task_id, e.task, e.modality, e.dataset, e.method, e.layer, e.rank, e.alpha, e.steps,
        e.learning_rate, e.seed, e.origin, e.exemplars, e.search, e.changed, e.converged, e.loss_before, e.loss_after, e.path,
        e.digest, e.seconds, e.note, e.run_id,
        coalesce(e.variant, 'corrected') as variant, r.finished_at
    from main.edits e
    join main.runs r on r.run_id = e.run_id
    -- a later search that tries an edit again does not stand for it
    qualify row_number() over (
        partition by e.edit_id order by (e.search is null) desc, r.finished_at desc, e.run_id desc
    ) = 1
),
scored as (
    select
        s.edit_id,
        max(s.value) filter (s.measure = 'success' and s.cases = 'exemplars' and s.severity = 0) as exemplar_success,
        max(s.value) filter (s.measure = 'success' and s.cases = 'validation' and s.severity = 0) as validation_success,
        max(s.value) filter (s.measure = 'success' and s.cases = 'held-out' and s.severity = 0) as success,
        max(s.std_error) filter (s.measure = 'success' and s.cases = 'held-out' and s.severity = 0) as success_std_error,
        max(s.before) filter (s.measure = 'success' and s.cases = 'held-out' and s.severity = 0) as success_before,
        avg(s.value) filter (s.measure = 'success' and s.cases = 'held-out' and s.severity > 0) as corrupted_success,
        avg(s.value) filter (
            s.measure = 'success' and s.cases not in ('exemplars', 'held-out', 'unrelated', 'validation') and s.severity = 0
        ) as generality,
        max(s.value) filter (s.measure = 'agreement' and s.cases = 'unrelated' and s.severity = 0) as locality,
        max(s.std_error) filter (s.measure = 'agreement' and s.cases = 'unrelated' and s.severity = 0) as locality_std_error,
        max(s.value) filter (s.measure = 'errors-corrected' and s.cases = 'held-out' and s.severity = 0) as errors_corrected
    from lab.edit_scores s
    group by s.edit_id
)
select
    c.model,
    m.kind,
    c.step,
    c.revision,
    n.task,
    n.modality,
    n.dataset,
    n.method,
    n.layer,
    n.rank,
    n.alpha,
    case
        when n.method in ('1-li', 'interpolation') then 'alpha ' || format('{:g}', n.alpha)
        when n.rank is not null then 'rank ' || n.rank
        when n.method = 'fine-tuning' and n.layer is null then 'all layers'
        when n.method = 'fine-tuning' then 'from ' || n.layer || ' on'
        else 'one layer'
    end || case when n.variant = 'released' then ', as released' else '' end as limited_to,
    n.variant,
    n.steps,
    n.learning_rate,
    n.seed,
    n.origin,
    n.exemplars,
    s.exemplar_success,
    s.validation_success,
    s.success,
    s.success_std_error,
    s.success_before,
    s.corrupted_success,
    s.generality,
    s.locality,
    s.locality_std_error,
    s.errors_corrected,
    n.changed as weights_changed,
    n.changed / m.parameters as share_changed,
    n.converged,
    n.loss_before,
    n.loss_after,
    n.seconds,
    n.note,
    n.search,
    n.path,
    n.digest,
    n.edit_id,
    n.task_id,
    n.checkpoint_id,
    n.run_id,
    n.finished_at as measured_at
from newest n
join main.checkpoints c on c.checkpoint_id = n.checkpoint_id
join main.models m on m.model = c.model
left join scored s on s.edit_id = n.edit_id;

comment on view lab.edits is 'One row an edit of a network: what was changed and how, whether the fit converged, and what the edited network does; newest run';
comment on column lab.edits.model is 'the network''s name in the store';
comment on column lab.edits.kind is 'decoder, encoder or vision';
comment on column lab.edits.step is 'optimiser step; NULL where nobody said';
comment on column lab.edits.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edits.task is 'the task''s name: what is asked of the network';
comment on column lab.edits.modality is 'image or text';
comment on column lab.edits.dataset is 'the key of the items that the task is of';
comment on column lab.edits.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edits.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edits.rank is 'rank of the change; NULL where the method has none';
comment on column lab.edits.alpha is 'how far the weights go from those before (0) to those that were tuned (1); NULL where the method has none';
comment on column lab.edits.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edits.variant is 'corrected, or released where it was fitted as the authors'' code does it (rome, rewriting); limited_to says so too';
comment on column lab.edits.steps is 'optimiser steps of the fit';
comment on column lab.edits.learning_rate is 'its learning rate';
comment on column lab.edits.seed is 'draws the exemplars and whatever else is random';
comment on column lab.edits.origin is 'digest of a saved change that was fitted to another task and is judged by this one; NULL of what was fitted to this one';
comment on column lab.edits.exemplars is 'how many cases it was fitted to';
comment on column lab.edits.exemplar_success is 'share of the exemplars that come out as asked, 0 to 1';
comment on column lab.edits.validation_success is 'share of the cases by which a search chooses that come out as asked; NULL of edits that no search tried';
comment on column lab.edits.success is 'share of held-out cases that come out as asked, 0 to 1; NULL of edits that were only tried in a search';
comment on column lab.edits.success_std_error is 'its standard error over cases';
comment on column lab.edits.success_before is 'the same of the untouched network';
comment on column lab.edits.corrupted_success is 'share of held-out cases that come out as asked under corruptions; mean over families and severities';
comment on column lab.edits.generality is 'share of cases of another kind (paraphrases, another style, other classes) that come out as asked; mean over kinds. Other classes are to be told as what they are, also where the task has its own told as another; lab.edit_scores has each kind';
comment on column lab.edits.locality is 'share of unrelated inputs that the untouched network tells alike, 0 to 1; NULL of edits that were only tried in a search';
comment on column lab.edits.locality_std_error is 'its standard error over inputs; of texts the tokens of one are taken together';
comment on column lab.edits.errors_corrected is 'share of the untouched network''s errors on held-out cases that are gone; 1 is all, below 0 there are more';
comment on column lab.edits.weights_changed is 'how many weights the edit changed; of rome all of the layer''s';
comment on column lab.edits.share_changed is 'of all the network''s parameters';
comment on column lab.edits.converged is 'whether the loss was finite and had stopped falling; if not, note says so and lab.edit_curves shows it';
comment on column lab.edits.loss_before is 'mean loss on the exemplars before the first step, in the unit of the method';
comment on column lab.edits.loss_after is 'after the last; NULL where it is no finite number; of 1-li and interpolation that of the tuned weights, at alpha 1, whatever the edit''s alpha';
comment on column lab.edits.seconds is 'how long the fit took; of a further alpha, how long it took to go there';
comment on column lab.edits.note is 'what is to be known of the fit';
comment on column lab.edits.search is 'the search that it was tried in; NULL for an edit of its own';
comment on column lab.edits.path is 'the safetensors file of the change, below the store''s folder edits; NULL where it was not kept';
comment on column lab.edits.digest is 'the digest of that file';
comment on column lab.edits.edit_id is 'id of the network, the task, the method and every setting';
comment on column lab.edits.task_id is 'id of what is asked of the network';
comment on column lab.edits.checkpoint_id is 'id of the network';
comment on column lab.edits.run_id is 'the run that computed it';
comment on column lab.edits.measured_at is 'when that run ended, UTC';
