"""Many fine-tunings of one encoder agree in distribution and differ out of it: does the distance of their hidden states to the
best one's predict by how much, and from which layer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from service.errors import BadInput
from service.experiments.compare_networks import Comparer, Comparison, PairOfNetworks
from service.experiments.judging import Judging
from service.experiments.progress import tell_waiting
from service.experiments.runs import no_network
from service.experiments.side_processes import all_done, processes
from service.experiments.small_networks import PROCESSES, training_in
from service.networks.checkpoints import CheckpointSource
from service.networks.cued_sentences import NAME, cued_sentences, plain_sentences
from service.networks.datasets import DEFAULT_SAMPLE, Choice, Items, open_dataset
from service.networks.fine_tuning import Tuning, fine_tune
from service.networks.labelled_texts import LabelledTexts, read_labelled
from service.networks.training import Recipe, small_encoder, train, train_tokenizer
from service.settings import Settings
from service.storage.answers import ask
from service.storage.database import Store, open_store, publish

MEASURES = ("linear_cka_debiased", "procrustes_angular", "mutual_knn")
ALL_PAIRS = 16  # networks up to which all pairs are compared, so that there is a map of them; above, each with the best
VOCABULARY = 1024  # a token a word
WIDTH, DEPTH, BASE_STEPS = 64, 4, 300


@dataclass(frozen=True)
class GeneralisationStudy:
    """How many fine-tunings of one encoder, and for how many steps each. Raises BadInput."""

    seeds: int = 40
    steps: int = 80
    texts: int = 500
    sample: int = DEFAULT_SAMPLE
    permutations: int = 20

    def __post_init__(self) -> None:
        if self.seeds < 4:
            raise BadInput(f"--seeds is 4 or more, or there is nothing to correlate; got {self.seeds}")

    @property
    def base(self) -> str:
        """The name of the encoder."""
        return f"cued-encoder-width-{WIDTH}-depth-{DEPTH}-steps-{BASE_STEPS}"

    @property
    def networks(self) -> dict[str, Tuning]:
        """Its fine-tunings, by name."""
        tunings = [Tuning(seed, self.steps, threads=1) for seed in range(self.seeds)]
        return {f"cued-classifier-steps-{one.steps}-seed-{one.seed}": one for one in tunings}

    def are_trained(self, folder: Path) -> bool:
        """Whether all of its networks are there."""
        return not self._lacking(folder)

    def _lacking(self, folder: Path) -> dict[str, Tuning]:
        return {name: one for name, one in self.networks.items() if not (folder / name / f"step{one.steps}").is_dir()}

    def trained(self, folder: Path) -> list[str]:
        """The folders of its fine-tunings; makes the encoder and those that are not there, two at a time."""
        if not self.are_trained(folder):
            with training_in(folder):
                self._tune(folder, self._lacking(folder))
        return [str(folder / name) for name in self.networks]

    def _tune(self, folder: Path, lacking: dict[str, Tuning]) -> None:
        with processes(PROCESSES) as pool:
            base = all_done(pool, {self.base: (train_base, folder / self.base)}, of=len(lacking) + 1)[0]
            jobs = {name: (tune_one, base, folder / name, one) for name, one in lacking.items()}
            all_done(pool, jobs, before=1)


QUICK = GeneralisationStudy(seeds=12, sample=1024, permutations=10)


def train_base(folder: Path) -> Path:
    """The encoder that all fine-tunings start from; its last checkpoint."""
    texts = plain_sentences()
    tokenizer = train_tokenizer(texts[:5000], VOCABULARY, "masked")
    module = small_encoder(WIDTH, DEPTH, len(tokenizer))
    recipe = Recipe(BASE_STEPS, (BASE_STEPS,), "masked", length=64, batch=16, learning_rate=2e-3, threads=1)
    return train(module, tokenizer, texts, folder, recipe) / f"step{BASE_STEPS}"


def tune_one(base: Path, folder: Path, tuning: Tuning) -> None:
    """One fine-tuning on the sentences in which two cues agree."""
    fine_tune(base, cued_sentences("training"), folder, tuning)


def comparisons(store: Store, sources: Sequence[CheckpointSource], outside: LabelledTexts) -> list[PairOfNetworks]:
    """All fine-tunings against the one that does best out of distribution, and where there are few all against all."""
    query = (
        "select revision, accuracy from lab.classifier_accuracies where split = 'out-of-distribution' and dataset = ?"
    )
    accuracy = {row["revision"]: row["accuracy"] for row in ask(store, query, [outside.name]).to_pylist()}
    ordered = sorted(sources, key=lambda one: (-accuracy.get(one.checkpoint.revision, 0.0), one.checkpoint.revision))
    best, others = ordered[0], ordered[1:]
    pairs = [PairOfNetworks(best, other) for other in others]
    return pairs + [PairOfNetworks(*pair) for pair in combinations(others, 2)] if len(sources) <= ALL_PAIRS else pairs


@dataclass(frozen=True)
class GeneralisationQuestion:
    """What is asked of fine-tunings: the study's own ones, or those named with labelled texts in and out of distribution."""

    study: GeneralisationStudy
    inside: LabelledTexts
    outside: LabelledTexts
    items: Items
    classes: tuple[int, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """What each two of them are compared by."""
        return Comparison(MEASURES, self.study.permutations)


def asked_generalisation(
    quick: bool = False,
    seeds: int | None = None,
    inside: str | None = None,
    outside: str | None = None,
    classes: Sequence[str] = (),
    stands_for: Sequence[int] = (),
    dataset: str | None = None,
    texts: int | None = None,
) -> GeneralisationQuestion:
    """The study as a command line or a deployment asks for it; states are of the texts out of distribution where no dataset is
    named. Raises BadInput, UnknownName."""
    if bool(inside) != bool(outside):
        raise BadInput("--in-distribution and --out-of-distribution are files of labelled texts: give both or neither")
    study = QUICK if quick else GeneralisationStudy()
    study = replace(study, seeds=seeds or study.seeds, texts=texts or study.texts)
    inner = read_labelled(inside, classes) if inside else cued_sentences("in-distribution")
    outer = read_labelled(outside, classes) if outside else cued_sentences("out-of-distribution")
    if stands_for:  # what is right depends on it
        chosen = f"[stands-for={','.join(map(str, stands_for))}]"
        inner, outer = (replace(texts, name=texts.name + chosen) for texts in (inner, outer))
    items = open_dataset(dataset or outer.dataset or NAME, sample=study.sample, choice=Choice(texts=study.texts))
    return GeneralisationQuestion(study, inner, outer, items, tuple(stands_for))


def is_answered(settings: Settings, question: GeneralisationQuestion, sources: Sequence[CheckpointSource]) -> bool:
    """Whether the store lacks nothing of the study; opens it, loads no network. Raises StoreBusy, StoreNotMigrated."""
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    publish(store, tell_waiting)
    judging = Judging(store, question.inside, question.outside, question.classes)
    if any(judging.lacks(source) for source in sources):
        return False
    comparer = Comparer(
        store, question.items, question.study.sample, question.comparison, no_network, on_wait=tell_waiting
    )
    return not any(comparer.lacks(pair) for pair in comparisons(store, sources, question.outside))
