"""Turn the values of `report.json` into the words of `report.md` and `report.html`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .chart import leak_chart
from .grade import share
from .pictures import data_uri
from .records import CONTROL, LINK, NAMES

_TEMPLATES = Path(__file__).parent / "templates"
_DECIBELS = ("psnr", "psnr_aligned", "patch_psnr")
_LIKENESS = ("likeness", "ssim", "ssim_aligned")


def render(report: Mapping[str, Any], template: str, sheets: Sequence[bytes] = ()) -> str:
    """Render a report.

    Args:
        report: values of `AuditReport.to_dict`.
        template: "audit_report.md" or "audit_report.html".
        sheets: PNG files, one for each setting, for the page.

    Returns:
        The text. Nothing in it points elsewhere: style and pictures are inside.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    settings = [
        {
            **audit,
            "rows": [row for record in audit["attackers"] for row in rows_of(record)],
            "left_out": reasons(audit["left_out"]),
            "sheet": data_uri(sheet) if sheet else None,
        }
        for audit, sheet in zip(report["settings"], sheets or [None] * len(report["settings"]), strict=True)
    ]
    values = {**report, "settings": settings, "figure": figure, "share": _share}
    return environment.get_template(template).render(values, chart=leak_chart(report["settings"]))


def reasons(left_out: Mapping[str, str]) -> str:
    """Tell which attackers were left out, those of one reason together.

    Example:
        >>> reasons({"neighbour": "none trained", "jigsaw": "unshuffled", "mixing_decoder": "none trained"})
        'neighbour, mixing decoder (none trained); jigsaw (unshuffled)'
    """
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason, []).append(name.replace("_", " "))
    return "; ".join(f"{', '.join(group)} ({reason})" for reason, group in names.items())


def rows_of(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the rows of the leakage table for one attacker: the score that counts first.

    Args:
        record: values of `AttackRecord.to_dict`.

    Example:
        >>> from hipmr_hf.privacy_report.records import AttackRecord
        >>> found = AttackRecord(
        ...     "jigsaw", "a solver", "order", "the settings", "neighbour",
        ...     {"neighbour": [0.4, 0.6]}, {"neighbour": 0.005}, search_limited=0.25)
        >>> row = rows_of(found.to_dict())[0]
        >>> row["value"], row["chance"], row["limited"]
        ('50% ± 14%', '0.5%', '25%')
    """
    names = [name for name in (record["measure"], *NAMES) if name in record["scores"]]
    if record["kind"] == CONTROL:
        names = names[:1]
    shown = dict.fromkeys(name for name in names if name in NAMES)
    return [_row(record, name, first=number == 0) for number, name in enumerate(shown)]


def _row(record: Mapping[str, Any], name: str, *, first: bool) -> dict[str, str]:
    found = record["scores"][name]
    baselines = [
        f"{words}: {figure(name, values[name])}"
        for words, values in record["baselines"].items()
        if values.get(name) is not None
    ]
    limited = record["search_limited"]
    return {
        "attacker": record["title"] if first else "",
        "knows": record["knows"] if first else "",
        "measure": NAMES[name],
        "value": figure(name, found["mean"], found["spread"]),
        "worst": "" if record["kind"] == LINK or record["n"] < 2 else figure(name, found["max"]),
        "chance": figure(name, record["chance"].get(name)),
        "baselines": "; ".join(baselines),
        "n": str(record["n"]) if first else "",
        "effort": effort_in_words(record) if first else "",
        "limited": "" if limited is None or not first else f"{limited:.0%}",
    }


def effort_in_words(record: Mapping[str, Any]) -> str:
    """Tell what an attacker spent.

    Example:
        >>> effort_in_words({"effort": {"steps": 1200000}, "cpu_seconds_an_image": 2.04})
        '1,200,000 steps, 2.0 CPU s an image'
    """
    effort = record["effort"]
    words = [f"{effort['steps']:,} steps"] if effort.get("steps") else []
    if effort.get("cpu_seconds"):
        words.append(f"trained for {effort['cpu_seconds']:.0f} CPU s")
    if effort.get("source_images"):
        words.append(f"on {effort['source_images']:,} images")
    seconds = record["cpu_seconds_an_image"]
    if seconds:
        words.append(f"{seconds:.1f} CPU s an image" if seconds >= 0.1 else "under 0.1 CPU s an image")
    return ", ".join(words) or "no effort"


def figure(name: str, value: float | None, spread: float | None = None) -> str:
    """Write a score as people read it: shares in per cent, SSIM with two digits, PSNR with one.

    Example:
        >>> figure("psnr", 22.94, 1.0), figure("ssim", 0.651), figure("neighbour", None)
        ('22.9 ± 1.0', '0.65', '')
    """
    if value is None:
        return ""
    write = {**dict.fromkeys(_DECIBELS, "{:.1f}"), **dict.fromkeys(_LIKENESS, "{:.2f}")}.get(name)
    shown = write.format(value) if write else share(value)
    if spread is None or name.startswith("top"):  # a query is found or not; its spread says nothing more
        return shown
    return f"{shown} ± {write.format(spread) if write else share(spread)}"


def _share(value: float | None) -> str:
    return "" if value is None else share(value)
