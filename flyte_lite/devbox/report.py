"""A task's report: a page that it writes for people, to be read with `run.get_report()`.

    from flyte_lite.devbox import report

    @box.task(name="numbers.describe", version="v1")
    def describe(numbers: list[int]) -> int:
        report.log(f"<h1>{len(numbers)} numbers</h1>")
        report.get_tab("all").log(f"<p>{numbers}</p>")
        return sum(numbers)

It is `flyte.report` with ordinary functions. What an attempt has logged is stored when its function returns or raises,
and before that with each `flush`. Outside a task nothing is stored.
"""

from __future__ import annotations

import html

from flyte_lite.devbox.leash import held
from flyte_lite.devbox.messages import REPORT

__all__ = ["Tab", "flush", "get_tab", "log", "replace"]

MAIN = "main"
_PAGE = """<!doctype html>
<html lang="">
<head>
<meta charset="utf-8">
<title>Report</title>
<style>body {{ font-family: sans-serif; margin: 2rem; }} section {{ margin-bottom: 2rem; }}</style>
</head>
<body>
{sections}
</body>
</html>
"""


class Tab:
    """A part of the report, under its own name.

    Attributes:
        name: What stands above it; nothing does above the main one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._pieces: list[str] = []

    def log(self, content: str) -> None:
        """Add HTML, a part of a page: it is put into the page as it is."""
        self._pieces.append(content)

    def replace(self, content: str) -> None:
        """Put HTML in the place of all that is there."""
        self._pieces = [content]

    def get_html(self) -> str:
        """All that is there."""
        return "\n".join(self._pieces)


_tabs = {MAIN: Tab(MAIN)}
_stored = ""


def get_tab(name: str, /, create_if_missing: bool = True) -> Tab:
    """The tab of that name, in the order in which they were first asked for; "main" is where `log` writes.

    Raises:
        ValueError: There is none, and none is to be made.
    """
    if name not in _tabs:
        if not create_if_missing:
            raise ValueError(f"there is no tab {name!r} in this report")
        _tabs[name] = Tab(name)
    return _tabs[name]


def log(content: str, do_flush: bool = False) -> None:
    """Add HTML to the main tab; `do_flush` stores the report at once."""
    _tabs[MAIN].log(content)
    if do_flush:
        flush()


def replace(content: str, do_flush: bool = False) -> None:
    """Put HTML in the place of all that is in the main tab; `do_flush` stores the report at once."""
    _tabs[MAIN].replace(content)
    if do_flush:
        flush()


def flush() -> None:
    """Store the report as it is now, for those who read it while the task runs. An empty one is not stored.

    Raises:
        RuntimeError: This is another process than the one that the devbox started.
    """
    global _stored
    devbox, page = held(), _page()
    if devbox is None or page == _stored:
        return
    if devbox.is_forked:
        raise RuntimeError(
            "only the process that the devbox started can store its report, not one that it has forked: give it back"
            " what is to be logged, and log it there"
        )
    _stored = page
    devbox.tell(REPORT, page.encode("utf-8", "replace"))


def _page() -> str:
    shown = [(tab.name, tab.get_html()) for tab in list(_tabs.values())]
    if not any(content for _, content in shown):
        return ""
    sections = [
        f"<section>{'' if name == MAIN else f'<h2>{html.escape(name)}</h2>'}\n{content}\n</section>"
        for name, content in shown
        if content or name != MAIN
    ]
    return _PAGE.format(sections="\n".join(sections))
