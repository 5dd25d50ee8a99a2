"""Small files that a published model may or may not have beside its weights."""

from pathlib import Path

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from encoders.modalities.pretrained import ModelUse


def optional_file(use: ModelUse, name: str) -> Path | None:
    """Return where a file of the model lies on this machine, fetched if need be; None if the model has none.

    Raises:
        Misconfigured: Without the hub it cannot be told: a file that was never asked for is not one that is missing.
    """

    def fetch(model: str, *, revision: str, local_files_only: bool, trust_remote_code: bool) -> Path | None:
        if use.source.is_folder:
            return path if (path := Path(model) / name).is_file() else None
        found = try_to_load_from_cache(model, name, revision=revision)
        if found is not None:  # a path, or the mark of a file that the hub said it lacks
            return Path(found) if isinstance(found, str) else None
        try:
            return Path(hf_hub_download(model, name, revision=revision, local_files_only=local_files_only))
        except LocalEntryNotFoundError:  # is an EntryNotFoundError too
            raise
        except EntryNotFoundError:
            return None

    fetched: Path | None = use.load(fetch)
    return fetched
