"""Where a store keeps what: a folder, or an object store's URL with a local folder for the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from service.errors import BadInput
from service.settings import Settings, store_place
from service.storage.objects import ObjectPath, location, refuse_unreachable, refuse_url
from service.storage.places import Place


@dataclass(frozen=True)
class Store:
    """A store's folder or URL, and how many seconds its callers wait for whoever holds it.

    With a URL the summaries and the ledger lie there, and the database in the folder that ISOSCOPE_DATABASE names: on the
    one host that records. Any other host can write summaries and leave rows in the ledger. Raises BadInput for a URL
    that is none.
    """

    place: Path | str
    lock_wait: float = 60.0
    home: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Tell a URL from a folder."""
        place = store_place(self.place)
        if isinstance(place, str):
            refuse_url(place)
            object.__setattr__(self, "home", Settings().database)
        object.__setattr__(self, "place", place)

    @property
    def url(self) -> str | None:
        """The object store's URL, None where the store is a folder."""
        return self.place if isinstance(self.place, str) else None

    @property
    def name(self) -> str:
        """What people are told of it."""
        return location(self.place) if isinstance(self.place, str) else str(self.place)

    @property
    def root(self) -> Path:
        """The local folder of database and lock. Raises BadInput where a URL has none."""
        if isinstance(self.place, Path):
            return self.place
        if self.home is None:
            raise BadInput(
                f"the store {self.name} needs a local folder for its database: name one with ISOSCOPE_DATABASE"
            )
        return self.home

    @property
    def database(self) -> Path:
        """The live database, which only ``writing`` opens."""
        return self.root / "isoscope.duckdb"

    @property
    def published(self) -> Path:
        """The copy that people and tools read."""
        return self.root / "published.duckdb"

    @property
    def lock(self) -> Path:
        """The file whose ``flock`` is the right to open the live database."""
        return self.root / "isoscope.lock"

    @property
    def activations(self) -> Place:
        """The activation summaries."""
        return self._area("activations")

    @property
    def probes(self) -> Place:
        """The directions of linear probes."""
        return self._area("probes")

    @property
    def ledger(self) -> Place:
        """Every row, by run, in Parquet."""
        return self._area("ledger")

    @property
    def attributions(self) -> Place:
        """The attribution scores."""
        return self._area("attributions")

    @property
    def edits(self) -> Place:
        """The changes of weights that edits make."""
        return self._area("edits")

    def _area(self, name: str) -> Place:
        return ObjectPath(self.place, name) if isinstance(self.place, str) else self.place / name

    @property
    def draft_areas(self) -> tuple[Path, ...]:
        """The folders that have drafts."""
        areas = (self.root, self.activations, self.ledger, self.attributions, self.edits)
        return tuple(area for area in areas if isinstance(area, Path))


def make_folders(store: Store) -> None:
    """Make what a new store needs, and note of which URL the database is. Raises BadInput, StoreUnreachable, OSError."""
    refuse_stranger(store)
    if store.url is not None:
        refuse_unreachable(store.url)
        store.root.mkdir(parents=True, exist_ok=True)
        _mark(store).write_text(store.name + "\n")
        return
    for folder in store.draft_areas:
        folder.mkdir(parents=True, exist_ok=True)


def refuse_stranger(store: Store) -> None:
    """Raise BadInput where the local folder holds the database of another store."""
    mark = _mark(store)
    owner = mark.read_text().strip() if mark.is_file() else None
    if store.url is None and owner is not None:
        raise BadInput(
            f"{store.root} holds the database of {owner}: give that URL as the store, with ISOSCOPE_DATABASE={store.root}"
        )
    if store.url is not None and (store.database.exists() or owner) and owner != store.name:
        whose = f"of {owner}" if owner else "of a store of its own"
        raise BadInput(
            f"{store.root} holds the database {whose}, not of {store.name}: name another folder with ISOSCOPE_DATABASE"
        )


def _mark(store: Store) -> Path:
    return store.root / "isoscope.url"
