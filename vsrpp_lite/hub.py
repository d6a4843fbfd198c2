"""Trained models on the Hugging Face hub, through the hub library's mixin. It needs the extra `vsrpp_lite[hub]`.

HubModel(result.export("my-model")).push_to_hub("name/my-model")
matcher = HubModel.from_pretrained("name/my-model").matcher()
"""

import shutil
from pathlib import Path
from typing import Any

from vsrpp_lite.extras import extra
from vsrpp_lite.matcher import Matcher, System
from vsrpp_lite.training.models import load
from vsrpp_lite.training.run_folder import CONFIG

with extra("hub"):
    from huggingface_hub import ModelHubMixin, snapshot_download


class HubModel(ModelHubMixin, library_name="vsrpp_lite"):
    """The folder of an exported model, which the hub library can save, push and fetch.

    Args:
        folder: the folder that `Result.export` wrote.

    Raises:
        FileNotFoundError: the folder has no config.json.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        if not (self.folder / CONFIG).exists():
            raise FileNotFoundError(f"{self.folder / CONFIG}: missing; expected an exported model")

    def matcher(self, system: type[System] | None = None) -> Matcher:
        """Return the trained matcher; see `vsrpp_lite.load`."""
        return load(self.folder, system)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Copy the files of the folder to another one; see the hub library's mixin.

        Raises:
            ValueError: it is the same folder, in which the mixin would delete config.json first.
        """
        if Path(save_directory).resolve() == self.folder.resolve():
            raise ValueError(f"{save_directory}: the model lies there already; expected another folder")
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Copy the files of the folder, for `save_pretrained` and `push_to_hub`."""
        shutil.copytree(self.folder, save_directory, dirs_exist_ok=True)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None, **options: Any) -> "HubModel":
        """Open a local folder, or a snapshot of a repository on the hub, for `from_pretrained`."""
        if Path(model_id).is_dir():
            return cls(model_id)
        names = ("cache_dir", "force_download", "local_files_only", "token")
        fetched = {name: options[name] for name in names if name in options}
        return cls(snapshot_download(model_id, revision=revision, **fetched))
