"""The Hugging Face hub: which commit a revision is, asked of the hub, or of the local cache where it cannot be reached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from service.errors import NetworkMismatch, UnknownName

COMMIT = re.compile(r"[0-9a-f]{40}")


def commits(model: str, revisions: Sequence[str]) -> list[tuple[str, str]]:
    """(revision, commit hash) of each revision, or of each that matches a pattern such as ``step*``.

    Raises UnknownName: no such model or revision, or neither hub nor cache has it.
    """
    found: dict[str, str] = {}
    for revision in revisions or ("main",):
        if any(letter in revision for letter in "*?["):
            known = _revisions(model)
            matching = {name: commit for name, commit in known.items() if fnmatchcase(name, revision)}
            if not matching:
                raise UnknownName.of(f"revision of {model}", revision, known)
            found |= matching
        else:
            found[revision] = _commit(model, revision)
    return list(found.items())


def fetched_config(model: str, commit: str) -> Path | None:
    """Where the config.json of a model lies now; None where it has none, or neither hub nor cache gives it."""
    try:
        return Path(hf_hub_download(model, "config.json", revision=commit))
    except Exception:  # the ordinary way of loading meets it again, and names it
        return None


def fetched_files(model: str, commit: str, patterns: Sequence[str]) -> Path:
    """The folder that the files of a model lie in that match a pattern. Raises NetworkMismatch."""
    try:
        return Path(snapshot_download(model, revision=commit, allow_patterns=list(patterns)))
    except Exception as error:  # see _commit
        raise NetworkMismatch(f"{model} could not be fetched: {' '.join(str(error).split())[:300]}") from error


def _commit(model: str, revision: str) -> str:
    try:
        commit = HfApi().model_info(model, revision=revision).sha
    except RevisionNotFoundError as error:
        raise UnknownName.of(f"revision of {model}", revision, _revisions(model)) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise _unknown(model, "the hub has no such model, or it is private") from error
    except Exception as error:  # the client's HTTP library, and so what it raises, differs between versions
        commit = _cached(model).get(revision)
        if commit is None:
            reason = f"the hub cannot be reached, and revision {revision} is not in the local cache"
            raise _unknown(model, reason) from error
    if commit is None:
        raise _unknown(model, f"the hub names no commit for revision {revision}")
    return str(commit)


def _revisions(model: str) -> dict[str, str]:
    """Every branch and tag with its commit."""
    try:
        refs = HfApi().list_repo_refs(model)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise _unknown(model, "the hub has no such model, or it is private") from error
    except Exception as error:
        cached = _cached(model)
        if not cached:
            raise _unknown(model, "the hub cannot be reached, and the local cache does not have it") from error
        return cached
    return {ref.name: ref.target_commit for ref in (*refs.branches, *refs.tags)}


def _cached(model: str) -> dict[str, str]:
    """The revisions that the local cache knows, with their commits."""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
    refs = [file for file in (folder / "refs").rglob("*") if file.is_file()]
    named = {file.relative_to(folder / "refs").as_posix(): file.read_text().strip() for file in refs}
    commits = {
        snapshot.name: snapshot.name for snapshot in folder.glob("snapshots/*") if COMMIT.fullmatch(snapshot.name)
    }
    return commits | named


def _unknown(model: str, reason: str) -> UnknownName:
    return UnknownName(f"unknown model {model!r}: there is no folder of that name, and {reason}")
