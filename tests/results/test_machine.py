"""What machines read: everything, with full precision."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bdbench.results.render import cells
from bdbench.results.render.machine import CsvReporter, JsonReporter


def test_render_json_is_the_comparison(comparison):
    rendered = JsonReporter(None).render(comparison)

    assert json.loads(rendered) == comparison
    assert rendered.isascii()


def test_render_json_fits_the_published_schema(comparison):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    path = Path(cells.__file__).parents[1] / "comparison.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(path.read_text("utf-8")))
    validator.check_schema(validator.schema)

    validator.validate(comparison)
    comparison["rows"][0]["values"]["asr"] = 0.5
    assert not validator.is_valid(comparison)
    comparison["rows"][0]["values"]["asr"] = None
    comparison["surprise"] = 1
    assert not validator.is_valid(comparison)


def csv_lines(comparison):
    return csv.DictReader(io.StringIO(CsvReporter(None).render(comparison)))


def test_render_csv_has_everything_with_full_precision(comparison, row_of):
    row = row_of(comparison, "badnets", "merge")
    row["values"]["asr"] = {
        "mean": 0.1234567890123,
        "low": 0.1,
        "high": 0.2,
        "sd": 0.05,
        "seeds": 3,
    }
    row["changes"]["attack"]["p_holm"] = 0.012345678901
    comparison["rows"] = [row]
    (line,) = csv_lines(comparison)

    assert (line["asr"], line["asr_low"], line["asr_high"]) == ("0.1234567890123", "0.1", "0.2")
    assert (line["asr_sd"], line["asr_seeds"]) == ("0.05", "3")
    assert float(line["attack_change"]) == row["changes"]["attack"]["mean"]
    assert line["attack_change_p_holm"] == "0.012345678901"
    assert line["attack_change_significant"] == "1"
    assert (line["rank"], line["ranked"], line["gate_passed"]) == ("1", "1", "1")
    for name, value in row["cost"].items():
        assert line[f"cost_{name}"] == ("" if value is None else str(value))
    assert line["cells"].split(" ") == row["cells"]


def test_render_csv_leaves_what_is_not_there_empty(comparison):
    control = next(line for line in csv_lines(comparison) if line["control"] == "1")

    assert (control["asr"], control["asr_low"], control["rank"]) == ("", "", "")
    assert control["unranked_because"] == "never attacked"
