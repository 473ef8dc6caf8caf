"""`flyte-lite doctor`: why a server can't be used, step by step."""

from __future__ import annotations

import argparse
import json
import platform
import textwrap

from flyte_lite import _session
from flyte_lite._console import say
from flyte_lite._doctor.examination import examine
from flyte_lite._doctor.finding import STEPS, Cause, Finding
from flyte_lite._session import Session
from flyte_lite._version import __version__
from flyte_lite.config import Config

_WIDE = 100
_SHOWN = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "skipped": "-"}


def run(options: argparse.Namespace) -> int:
    """Examine the way to the server.

    Returns:
        The number of what has to be mended, see `Cause`; 0 if nothing has.
    """

    def configure() -> tuple[Config, Session]:
        arguments = {name: getattr(options, name) for name in ("endpoint", "project", "domain")}
        config = Config.auto(options.config, arguments=arguments)
        return config, _session.connect(config)

    findings = []
    for finding in examine(configure, options.timeout):
        findings.append(finding)
        if not options.json:
            _show(finding)
    failed = next((finding for finding in findings if finding.failed), None)
    cause = Cause.NOTHING if failed is None else failed.cause
    if options.json:
        say(json.dumps(_written(findings, cause), indent=2))
    elif failed is None:
        say("\nnothing is wrong")
    else:
        say(f"\n{failed.step} has to be mended first (exit status {cause.value})")
    return int(cause)


def _show(finding: Finding) -> None:
    wide = max(map(len, STEPS))
    took = "" if finding.verdict == "skipped" else f"{finding.seconds * 1000:.0f} ms"
    head = f"{_SHOWN[finding.verdict]:7}  {finding.step:{wide}}  {took:>8}  "
    margin = " " * len(head)
    say(textwrap.fill(finding.text, max(_WIDE, len(head) + 40), initial_indent=head, subsequent_indent=margin))
    if finding.remedy:
        first = f"{margin}-> "
        say(textwrap.fill(finding.remedy, _WIDE + 3, initial_indent=first, subsequent_indent=" " * len(first)))


def _written(findings: list[Finding], cause: Cause) -> dict[str, object]:
    return {
        "flyte_lite": __version__,
        "python": platform.python_version(),
        "ok": cause is Cause.NOTHING,
        "cause": cause.name.lower(),
        "exit_status": int(cause),
        "steps": [
            {
                "step": finding.step,
                "verdict": finding.verdict,
                "milliseconds": round(finding.seconds * 1000, 1),
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }
