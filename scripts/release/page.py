"""The page of a release on this machine: written to a file, opened where that is wanted."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from contracts.errors import SlipwayError
from release.page.render import page_of

PAGES = Path(".slipway") / "pages"


class PageError(SlipwayError):
    """The page cannot be made or written."""


def write_page(root: Path, release_id: str, evidence: str) -> Path:
    """Draw the page from the evidence and write it; returns its file.

    Raises:
        PageError: the evidence has no page, or the file cannot be written.
    """
    page = page_of(evidence)
    if page is None:
        raise PageError(
            f"the evidence of {release_id} is of a form that has no page; "
            f"`slipway show {release_id} --json` prints it as it is"
        )
    # Whatever is given as an id, the page stays in its folder.
    file = root / PAGES / f"{Path(release_id).name}.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PageError(f"{file}: {error.strerror}; make its folder writable") from None
    return file


def open_page(file: Path) -> bool:
    """Show it in a browser; whether there is one."""
    return webbrowser.open(file.as_uri())
