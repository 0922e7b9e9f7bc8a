"""Attack a sample of the owner's own images with every attacker there is, and report what came back.

`privacy_report` measures settings on plain images; `encrypted_report` shows what attacks make of images whose
plain originals are not at hand. Both give an `AuditReport` that saves itself as JSON, Markdown and one
self-contained page. The command is `hipmr audit`.
"""

from .bench import FULL, QUICK, Effort
from .report import encrypted_report, privacy_report
from .results import AuditReport

__all__ = ["FULL", "QUICK", "AuditReport", "Effort", "encrypted_report", "privacy_report"]
