"""What is known of edits already: which were judged on what, and what a search found."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from service.storage.database import OnWait, Store, looking

JUDGED = text("""
select distinct e.edit_id, n.corruption, n.severity from edits e join network_robustness n using (edit_id)
where e.checkpoint_id = :checkpoint_id and e.task_id = :task_id and n.dataset = :dataset and n.sample = :sample
  and e.edit_id in (select edit_id from edit_scores where cases = 'held-out')
""")
TRIED = text("""
with scored as (
  select edit_id, max(value) filter (cases = 'validation' and measure = 'success') as success,
    max(std_error) filter (cases = 'validation' and measure = 'success') as success_error,
    max(value) filter (cases = 'validation unrelated' and measure = 'agreement') as agreement,
    max(std_error) filter (cases = 'validation unrelated' and measure = 'agreement') as agreement_error
  from edit_scores where run_id in (select run_id from edits where search = :search) group by edit_id
)
select edit_id, coalesce(success * agreement, 0) as score,
  coalesce(sqrt((success_error * agreement) ** 2 + (success * agreement_error) ** 2), 0) as std_error from scored
""")


@dataclass(frozen=True)
class Score:
    """What an edit that was tried is worth, 0 to 1, with its standard error."""

    value: float
    std_error: float


def judged_edits(
    store: Store, checkpoint_id: str, task_id: str, dataset: str, sample: str, on_wait: OnWait = None
) -> dict[str, set[tuple[str, int]]]:
    """The corruptions, as (family, severity), under which each edit of a checkpoint for a task was judged on a sample. Raises
    StoreBusy."""
    asked = {"checkpoint_id": checkpoint_id, "task_id": task_id, "dataset": dataset, "sample": sample}
    found: dict[str, set[tuple[str, int]]] = {}
    with looking(store, on_wait) as connection:
        for edit_id, corruption, severity in connection.execute(JUDGED, asked):
            found.setdefault(edit_id, set()).add((corruption, severity))
    return found


def tried_scores(store: Store, search: str, on_wait: OnWait = None) -> dict[str, Score]:
    """What each edit that a search has tried was worth: success on the validation cases times agreement on the unrelated
    inputs of the validation, both taken as independent. Raises StoreBusy."""
    with looking(store, on_wait) as connection:
        return {row.edit_id: Score(row.score, row.std_error) for row in connection.execute(TRIED, {"search": search})}
