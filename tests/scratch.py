"""Folders of what several tests share and no fixture can hold: gone when the process is."""

import atexit
import shutil
from pathlib import Path
from tempfile import mkdtemp


def scratch_folder(prefix: str) -> Path:
    """Return a new folder that is removed when the process ends."""
    folder = Path(mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
