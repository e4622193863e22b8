"""axe-core over a page: what WCAG 2.2 AA and good practice ask for and a program can see."""

from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.machine import JAVASCRIPT, lacking

# Asked only for what is wrong, which spares most of the time of a report.
RUN = """async (only) => {
    const options = {resultTypes: ["violations"], ...(only && {runOnly: [only]})};
    const {violations} = await axe.run(document, options);
    const words = (id, {html, failureSummary}) => `${id}: ${html}\\n${failureSummary}`;
    return violations.flatMap(({id, nodes}) => nodes.map((node) => words(id, node)));
}"""


@cache
def axe() -> str:
    script = JAVASCRIPT / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        lacking("axe-core of tests/javascript")
    return script.read_text()


def violations(page: Page, only: str = "") -> list[str]:
    """What axe finds against the page as it stands now, by all rules or by this one; the page's
    policy does not bind it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe())
    found: Any = page.evaluate(RUN, only)
    return list(found)
