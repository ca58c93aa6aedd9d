create view lab.edit_scores as
select
    e.task,
    e.modality,
    e.method,
    s.measure,
    s.cases,
    s.corruption,
    s.severity,
    s.before,
    s.value,
    s.std_error,
    s.n,
    s.note,
    s.edit_id,
    s.run_id,
    r.finished_at as measured_at
from main.edit_scores s
join main.runs r on r.run_id = s.run_id
join (
    select distinct d.edit_id, d.task, d.modality, d.method from main.edits d
) e on e.edit_id = s.edit_id
qualify row_number() over (
    partition by s.edit_id, s.measure, s.cases, s.corruption, s.severity order by r.finished_at desc, s.run_id desc
) = 1;

comment on view lab.edit_scores is 'What an edited network does on each set of cases, clean and under corruptions, beside the untouched one on the same; newest run of each; lab.edits says the rest of the edit';
comment on column lab.edit_scores.task is 'the task''s name: what is asked of the network';
comment on column lab.edit_scores.modality is 'image or text';
comment on column lab.edit_scores.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_scores.measure is 'success, share of cases that come out as asked; agreement, share that the untouched network tells alike; errors-corrected, share of the untouched networks errors, -1 to 1';
comment on column lab.edit_scores.cases is 'exemplars; held-out; validation and validation unrelated, by which a search chooses; unrelated; or others that show what else the edit reaches, such as paraphrases or another style';
comment on column lab.edit_scores.corruption is 'none, or a family of corruptions';
comment on column lab.edit_scores.severity is '0 where clean, 1 to 5';
comment on column lab.edit_scores.before is 'the same of the untouched network; NULL where that says nothing';
comment on column lab.edit_scores.value is 'its value; NULL where undefined, and then note says why';
comment on column lab.edit_scores.std_error is 'its standard error over cases';
comment on column lab.edit_scores.n is 'how many cases it is of';
comment on column lab.edit_scores.note is 'what is to be known of it';
comment on column lab.edit_scores.edit_id is 'id of the network, the task, the method and every setting';
comment on column lab.edit_scores.run_id is 'the run that computed it';
comment on column lab.edit_scores.measured_at is 'when that run ended, UTC';
