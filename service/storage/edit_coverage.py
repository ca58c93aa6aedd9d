"""What is known of edits already: which were judged on what, and what a search found."""

from __future__ import annotations

from sqlalchemy import text

from service.storage.database import OnWait, Store, looking

JUDGED = text("""
select distinct e.edit_id, n.corruption, n.severity from edits e join network_robustness n using (edit_id)
where e.checkpoint_id = :checkpoint_id and e.task_id = :task_id and n.dataset = :dataset and n.sample = :sample
  and e.edit_id in (select edit_id from edit_scores where cases = 'held-out')
""")
TRIED = text("""
select s.edit_id, max(s.value) filter (s.cases = 'validation' and s.measure = 'success')
  * max(s.value) filter (s.cases = 'validation unrelated' and s.measure = 'agreement') as score
from edit_scores s where s.run_id in (select run_id from edits where search = :search) group by s.edit_id
""")


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


def tried_scores(store: Store, search: str, on_wait: OnWait = None) -> dict[str, float]:
    """What each edit that a search has tried was worth: success on the validation cases times agreement on the unrelated
    inputs of the validation, 0 to 1. Raises StoreBusy."""
    with looking(store, on_wait) as connection:
        return {row.edit_id: row.score or 0.0 for row in connection.execute(TRIED, {"search": search})}
