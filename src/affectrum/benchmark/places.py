"""Where a plan's corpora lie, and what their readers have to be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affectrum.catalog import fold_name
from affectrum.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from affectrum.corpora import Corpus

__all__ = ["CorpusPlace", "place_of", "read_places", "read_yaml"]


class CorpusPlace(BaseModel):
    """One corpus of a plan or of a paths file: a folder, or a folder with more.

    Parameters
    ----------
    folder : Path
        The corpus's folder.
    form : str
        Which of the vendor's forms to read; "auto" takes the preferred one that is there.
    options : dict or Path
        What the reader has to be told, or a YAML file with it.
    reader : str, optional
        For a corpus of one's own: "recordings" or "BIDS". None: the corpus's own reader.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    form: str = "auto"
    options: dict[str, Any] | Path = Field(default_factory=dict)
    reader: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, data: Any) -> Any:
        return {"folder": data} if isinstance(data, str | Path) else data

    def relative_to(self, base: Path) -> CorpusPlace:
        """Return a copy whose relative paths start from a folder."""
        from affectrum.corpora.options import resolve_paths

        options = (
            resolve_paths(self.options, base)
            if isinstance(self.options, dict)
            else base / self.options
        )
        return self.model_copy(update={"folder": base / self.folder, "options": options})

    def told(self) -> dict[str, Any]:
        """Return form, options and reader where they are not the defaults, for a record.

        Of files only the names are kept: folders of a machine are nobody else's business.

        Raises
        ------
        ConfigError
            If the file with the options can't be read.
        """
        options = self.options if isinstance(self.options, dict) else read_yaml(self.options)
        found: dict[str, Any] = {} if self.form == "auto" else {"form": self.form}
        if options:
            found["options"] = {
                name: Path(value).name
                if isinstance(value, str) and Path(value).is_file()
                else value
                for name, value in options.items()
            }
        if self.reader is not None:
            found["reader"] = self.reader
        return found

    def open(self, corpus: str) -> Corpus:
        """Open the corpus, as `affectrum.open_corpus` does.

        Raises
        ------
        FolderError
            The folder is not usable.
        ConfigError
            The corpus, the form or an option is unknown, or a mapping calls the corpus otherwise.
        """
        from affectrum.corpora import open_corpus

        opened = open_corpus(
            self.reader or corpus, self.folder, form=self.form, options=self.options or None
        )
        if fold_name(opened.name) != fold_name(corpus):
            raise ConfigError(
                f"The entry {corpus!r} holds a corpus that its mapping calls {opened.name!r}. Give "
                f"both the same name, as in '{opened.name}: {{folder: ..., reader: recordings, "
                "options: ...}'."
            )
        return opened


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises
    ------
    ConfigError
        If it can't be read or holds something else.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold a mapping; found {type(data).__name__}.")
    return data


def read_places(path: Path) -> dict[str, CorpusPlace]:
    """Read a paths file, which says where a user's corpora lie.

    Parameters
    ----------
    path : Path
        A YAML file: ``NAME: folder`` or ``NAME: {folder: ..., form: ...}`` with the keys of
        `CorpusPlace` for each corpus, also below a key ``corpora``. Relative paths start from the
        file's folder.

    Returns
    -------
    dict of str to CorpusPlace
        The places by the names that the file has.

    Raises
    ------
    ConfigError
        If the file can't be read, or an entry is wrong; all of them are named.
    """
    data = read_yaml(path)
    inner = data.get("corpora", data)
    if not isinstance(inner, dict):
        raise ConfigError(f"{path} must map corpus names to folders; found {inner!r}.")
    places: dict[str, CorpusPlace] = {}
    faults: list[str] = []
    known = list(CorpusPlace.model_fields)
    for name, value in inner.items():
        try:
            places[str(name)] = CorpusPlace.model_validate(value).relative_to(path.parent)
        except ValidationError as error:
            for fault in error.errors():
                where = ".".join(str(part) for part in (name, *fault["loc"][:1]))
                hint = (
                    did_you_mean(str(fault["loc"][-1]), known) + f" Known keys: {', '.join(known)}."
                    if fault["type"] == "extra_forbidden"
                    else ""
                )
                faults.append(f"  - {where}: {fault['msg']}.{hint}")
    if faults:
        raise ConfigError("\n".join([f"{path} is no valid paths file:", *dict.fromkeys(faults)]))
    return places


def place_of(places: Mapping[str, CorpusPlace], corpus: str) -> CorpusPlace:
    """Return the place of a corpus, without regard to how its name is written.

    Parameters
    ----------
    places : mapping of str to CorpusPlace
        As `read_places` returns them.
    corpus : str
        The corpus.

    Returns
    -------
    CorpusPlace
        Its place.

    Raises
    ------
    ConfigError
        If none is given.
    """
    for name, place in places.items():
        if fold_name(name) == fold_name(corpus):
            return place
    raise ConfigError(
        f"No folder is given for {corpus}; there are folders for "
        f"{', '.join(places) or 'no corpus'}." + did_you_mean(corpus, places)
    )
