"""The digest of code decides, with others, whether a result can be reused."""

from __future__ import annotations

import importlib
import os
import shutil
import sys

import pytest

from bdbench.api import InputError, PluginError
from bdbench.host import digest
from bdbench.host.digest import code_digest, content_digest

CODE = "class Thing:\n    pass\n"


@pytest.fixture
def digest_of(host_of):
    """The digest of the one defense of a distribution, as a fresh process would see it."""

    def digest_of(distribution="fake-plugin"):
        digest.package_digest.cache_clear()
        digest._digest_of.cache_clear()
        importlib.invalidate_caches()
        return code_digest(host_of(distribution).find("defense", "fake"))

    return digest_of


@pytest.fixture
def package(install, defense_hooks):
    return install("fake-plugin", defense_hooks("fake", "fake_plugin.parts:Thing"), parts=CODE)


def test_equal_code_has_one_digest_wherever_it_lies(package, digest_of, tmp_path, monkeypatch):
    before = digest_of()
    shutil.move(package.parent, tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    for name in [name for name in sys.modules if name.partition(".")[0] == "fake_plugin"]:
        del sys.modules[name]

    assert digest_of() == before


@pytest.mark.parametrize("file", ["__init__.py", "hooks.py", "parts.py", "deep/er/helper.py"])
def test_any_byte_of_any_python_file_changes_the_digest(package, digest_of, file):
    helper = package / "deep" / "er" / "helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text("x = 1\n", "utf-8")
    before = digest_of()

    (package / file).write_bytes((package / file).read_bytes() + b"#")

    assert digest_of() != before


def test_a_new_name_for_a_file_changes_the_digest(package, digest_of):
    (package / "one.py").write_text("x = 1\n", "utf-8")
    before = digest_of()

    (package / "one.py").rename(package / "two.py")

    assert digest_of() != before


def test_the_registry_is_no_code_of_the_host(package, digest_of, monkeypatch):
    """A wheel of the host has it in the package, a checkout beside it."""
    before = digest_of()
    (package / "registry.yaml").write_text("plugins: []\n", "utf-8")

    assert digest_of() != before
    monkeypatch.setattr(digest, "HOST_DISTRIBUTION", package.name)
    assert digest_of() == before


@pytest.mark.parametrize("name", ["words.txt", "deep/template.j2", "fast.so", "README.md"])
def test_data_and_compiled_modules_count(package, digest_of, name):
    file = package / name
    file.parent.mkdir(exist_ok=True)
    before = digest_of()

    file.write_bytes(b"a")
    first = digest_of()
    file.write_bytes(b"bc")

    assert len({before, first, digest_of()}) == 3


def test_what_python_compiles_and_editors_leave_does_not_count(package, digest_of):
    before = digest_of()

    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "parts.cpython-311.pyc").write_bytes(os.urandom(20))
    for name in (".DS_Store", ".parts.py.swp", "parts.py~", "#parts.py#", "parts.py.orig", "a.pyc"):
        (package / name).write_text("words", "utf-8")
    (package / ".ipynb_checkpoints").mkdir()
    (package / ".ipynb_checkpoints" / "parts.py").write_text("words", "utf-8")

    assert digest_of() == before


def test_looking_at_code_does_not_run_it(install, defense_hooks, digest_of):
    install(
        "fake-plugin",
        defense_hooks("fake", "fake_plugin.parts:Thing"),
        parts="raise RuntimeError('was imported')",
    )

    assert len(digest_of()) == 64


def test_a_target_whose_package_is_not_there_is_the_plugins_fault(
    install, defense_hooks, digest_of
):
    install("fake-plugin", defense_hooks("fake", "not_there_at_all.parts:Thing"))

    with pytest.raises(PluginError) as caught:
        digest_of()

    assert caught.value.where == "fake-plugin/fake"
    assert "not_there_at_all" in caught.value.what


def test_a_module_without_a_package_has_a_digest_too(
    install, defense_hooks, digest_of, tmp_path, monkeypatch
):
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "lone_module.py").write_text("x = 1\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "lone")
    install("fake-plugin", defense_hooks("fake", "lone_module:Thing"))
    before = digest_of()

    (tmp_path / "lone" / "lone_module.py").write_text("x = 10\n", "utf-8")

    assert digest_of() != before


def test_of_the_host_itself_only_the_folder_of_the_components_counts(toy_host, monkeypatch):
    asked = []
    monkeypatch.setattr(digest, "package_digest", lambda package, name: asked.append(package))

    code_digest(toy_host.find("defense", "none"))
    code_digest(toy_host.find("reporter", "csv"))

    assert asked == ["bdbench.builtin", "bdbench.results"]


# --- files that settings name -------------------------------------------------------------------


def test_equal_files_have_one_digest_wherever_they_lie(tmp_path):
    (tmp_path / "a").write_bytes(b"rows")
    (tmp_path / "b").write_bytes(b"rows")
    (tmp_path / "c").write_bytes(b"rowz")

    one, same, other = (content_digest(tmp_path / name, where="x") for name in "abc")

    assert one == same != other


def test_equal_folders_have_one_digest_and_any_change_another(tmp_path):
    def folder(name, **files):
        for file, text in files.items():
            path = tmp_path / name / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return content_digest(tmp_path / name, where="x")

    base = folder("base", config="{}", sub__weights="123")

    assert folder("copy", config="{}", sub__weights="123") == base
    assert folder("byte", config="{}", sub__weights="124") != base
    assert folder("name", config="{}", sub__weight="123") != base
    assert folder("place", config="{}", weights="123") != base
    assert folder("more", config="{}", sub__weights="123", extra="") != base
    # The bytes of one file cannot pass for those of two.
    assert folder("moved", config="{}1", sub__weights="23") != base


def test_a_file_that_is_not_there_is_named_with_the_setting(tmp_path):
    with pytest.raises(InputError) as caught:
        content_digest(tmp_path / "gone.csv", where="suite.yaml:4: datasets.0.files.train")

    assert caught.value.where == (f"suite.yaml:4: datasets.0.files.train: {tmp_path / 'gone.csv'}")
    assert caught.value.found == "No such file or directory"
