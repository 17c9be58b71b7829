"""The formats of the leaderboard, registered as any plugin's.

They stand apart from the components whose code counts in identities: a new format must not make
results stale.
"""

from __future__ import annotations

from bdbench.api import ReporterSpec, hookimpl

__all__ = ["bdbench_register_reporters"]


@hookimpl
def bdbench_register_reporters() -> list[ReporterSpec]:
    """Formats of the leaderboard."""
    return [
        ReporterSpec(
            name="table",
            target="bdbench.results.render.table:TableReporter",
            summary="A table for a terminal.",
        ),
        ReporterSpec(
            name="markdown",
            target="bdbench.results.render.markdown:MarkdownReporter",
            summary="A table for a README or an issue.",
        ),
        ReporterSpec(
            name="csv",
            target="bdbench.results.render.machine:CsvReporter",
            summary="One line per row, full precision.",
        ),
        ReporterSpec(
            name="json",
            target="bdbench.results.render.machine:JsonReporter",
            summary="Everything, with a versioned schema.",
        ),
        ReporterSpec(
            name="latex",
            target="bdbench.results.render.latex:LatexReporter",
            config="bdbench.results.render.latex_config:LatexConfig",
            summary="Tables for a paper: booktabs, best values bold, marks of significance.",
        ),
        ReporterSpec(
            name="html",
            target="bdbench.results.render.html.page:HtmlReporter",
            summary="One page that needs nothing else: figures, tables, provenance.",
        ),
    ]
