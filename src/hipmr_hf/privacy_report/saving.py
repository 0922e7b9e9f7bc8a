"""Write a report's folder whole, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import whole_folder
from .pictures import png
from .rendering import render

if TYPE_CHECKING:
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
    sheets = [png(audit.sheet) for audit in report.settings]
    files = {f"contact_sheet_{number}.png": sheet for number, sheet in enumerate(sheets, start=1)}
    values = report.to_dict()
    files["report.json"] = (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()
    files["report.md"] = render(values, "audit_report.md").encode()
    files["report.html"] = render(values, "audit_report.html", sheets).encode()
    folder = folder.absolute()
    with whole_folder(folder, private=True) as place:
        for name, content in files.items():
            (place / name).write_bytes(content)
    return folder
