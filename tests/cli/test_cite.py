"""``bdbench cite``: each source once."""

from __future__ import annotations

from pathlib import Path

ONE = "@article{gu2019,\n  title = {BadNets},\n  year = {2019}\n}"
TWO = "@inproceedings{dai2019,\n  title = {A Backdoor},\n  year = {2019}\n}"


def cited(*texts):
    return [{"component": f"d/c{at}", "bibtex": text} for at, text in enumerate(texts)]


def without_own(out):
    """What is printed after the entry for bdbench itself."""
    own, _, others = out.partition("\n\n")
    assert own.startswith("@software{bdbench,")
    return others


def test_every_source_is_printed_once(bdbench, finished_run):
    finished_run(citations=cited(ONE, f"{TWO}\n{ONE}\n", TWO))
    done = bdbench("cite")

    assert (done.code, done.err) == (0, "")
    assert without_own(done.out) == f"{ONE}\n\n{TWO}\n"


def test_another_entry_with_the_same_key_is_told(bdbench, finished_run):
    finished_run(citations=cited(ONE, ONE.replace("BadNets", "Other")))
    done = bdbench("cite")

    assert without_own(done.out) == f"{ONE}\n"
    assert "d/c1: another entry gu2019 is printed" in done.err


def test_what_is_no_bibtex_is_left_out_and_told(bdbench, finished_run):
    finished_run(citations=cited("Gu et al., 2019"))
    done = bdbench("cite")

    assert done.code == 0
    assert done.out.count("@") == 1
    assert "d/c0: its citation is no BibTeX" in done.err
    assert "no component of this comparison names a source" in done.err


def test_an_at_sign_within_an_entry_begins_no_other(bdbench, finished_run):
    entry = ONE.replace("BadNets", "mail someone@home{x, y}")
    finished_run(citations=cited(entry))

    assert without_own(bdbench("cite").out) == f"{entry}\n"


def test_bdbench_itself_comes_first(bdbench, finished_run):
    finished_run(citations=cited(ONE), bdbench="0.1.7", created="2027-01-02T03:04:05Z")
    own, other = bdbench("cite").out.split("\n\n")

    assert own.splitlines() == [
        "@software{bdbench,",
        "  author = {{bdbench contributors}},",
        "  title = {{bdbench}: backdoor defenses, compared on equal footing},",
        "  version = {0.1.7},",
        "  year = {2027},",
        "  note = {Apache-2.0}",
        "}",
    ]
    assert other == f"{ONE}\n"


def test_hostile_citations_do_not_act_on_the_terminal(bdbench, finished_run):
    finished_run(citations=cited(ONE.replace("BadNets", "\x1b[31m\u202e")))

    assert not {"\x1b", "\u202e"} & set(bdbench("cite").out)


def test_without_a_run_it_leads_to_bdbench_run(bdbench, home):
    assert bdbench("cite").code == 4
    assert not Path(home).exists()
