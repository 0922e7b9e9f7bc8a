"""Write a report's folder whole, or not at all."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from ..unfinished_folder import check_is_free, put_in_place
from .pictures import png
from .rendering import render
from .results import AuditReport


def save_report(report: AuditReport, folder: Path) -> Path:
    """Write `report.json`, `report.md`, `report.html` and a contact sheet for each setting.

    All is written beside the folder and then renamed, so a run that is killed leaves nothing half-written.

    Args:
        report: from `privacy_report` or `encrypted_report`.
        folder: does not exist yet, or is empty.

    Raises:
        FileExistsError: there is something already.
    """
    check_is_free(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    sheets = [png(audit.sheet) for audit in report.settings]
    files = {f"contact_sheet_{number}.png": sheet for number, sheet in enumerate(sheets, start=1)}
    values = report.to_dict()
    files["report.json"] = (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()
    files["report.md"] = render(values, "audit_report.md").encode()
    files["report.html"] = render(values, "audit_report.html", sheets).encode()
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # for its owner alone
    try:
        for name, content in files.items():
            with (beside / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        put_in_place(beside, folder)
    except BaseException:  # KeyboardInterrupt too
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder
