"""Attack a sample of the owner's own images with every attacker there is, and report what came back.

`privacy_report` measures settings on plain images; `encrypted_report` shows what attacks make of images whose
plain originals are not at hand. Both give an `AuditReport` that saves itself as JSON, Markdown and one
self-contained page. The command is `hipmr audit`.
"""

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .bench import FULL, QUICK, Effort
    from .report import encrypted_report, privacy_report
    from .results import AuditReport

__all__ = ["FULL", "QUICK", "AuditReport", "Effort", "encrypted_report", "privacy_report"]

_MODULES = {
    "FULL": "bench",
    "QUICK": "bench",
    "AuditReport": "results",
    "Effort": "bench",
    "encrypted_report": "report",
    "privacy_report": "report",
}

__getattr__, _ = lazy_names(__name__, _MODULES)
