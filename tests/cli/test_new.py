"""`bdbench new`: what it writes, and what it refuses."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import yaml

import bdbench as package
from bdbench import api
from bdbench.api import InputError
from bdbench.host.catalog import Host
from bdbench.host.registry import Listed
from bdbench.host.scaffold import naming
from bdbench.host.scaffold.naming import KINDS, LONGEST, Names, names_for, warnings_for
from bdbench.host.scaffold.writing import SUITE_PLUGINS, files_of, host_range, write
from bdbench.suite.reader import parse_value

ROOT = Path(package.__file__).parents[1]
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """A registry of two, whatever stands in the real one."""
    plugins = [
        Listed(
            name=name,
            distribution=f"bdbench-{name}",
            tier="core",
            summary="A plugin.",
            provides=provides,
            license="Apache-2.0",
            api=">=1.0,<2",
        )
        for name, provides in (
            ("attack-insertion", ["attack:badnets", "attack:insertsent"]),
            ("defense-onion", ["defense:onion"]),
        )
    ]
    monkeypatch.setattr(naming, "known_plugins", lambda: plugins)


@kinds
def test_the_package_is_complete(bdbench, tmp_path, kind):
    done = bdbench("new", kind, "my-own", "--out", tmp_path)

    folder = tmp_path / f"bdbench-{kind}-my-own"
    assert (done.code, done.out) == (0, f"{folder}\n")
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    module = f"src/bdbench_{kind}_my_own"
    assert written == {
        ".github/workflows/test.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "REPRODUCTION.md",
        "pyproject.toml",
        *([f"{module}/conformance.py"] if kind == "metric" else []),
        f"{module}/__init__.py",
        f"{module}/config.py",
        f"{module}/{kind}.py",
        f"{module}/hooks.py",
        f"{module}/py.typed",
        "suite.yaml",
        "tests/test_conformance.py",
        f"tests/test_{kind}.py",
    }
    assert entries(tmp_path) == [folder.name]  # no draft is left
    assert (folder.stat().st_mode & 0o777) == (folder / "src").stat().st_mode & 0o777
    assert f"cd {folder}" in done.err
    assert all(plugin in done.err for plugin in SUITE_PLUGINS[kind])


@kinds
def test_the_project_is_what_its_names_say(kind):
    names = Names(kind, "my-own")
    project = tomllib.loads(files_of(names)[PurePosixPath("pyproject.toml")])

    assert project["project"]["name"] == f"bdbench-{kind}-my-own"
    assert project["project"]["entry-points"] == {
        "bdbench": {f"{kind}-my-own": f"bdbench_{kind}_my_own.hooks"}
    }
    dependencies = project["project"]["dependencies"]
    assert dependencies[0] == "bdbench>=0.1,<0.2"
    assert not [item for item in dependencies if "==" in item]
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        f"src/bdbench_{kind}_my_own"
    ]


@kinds
def test_what_the_implementation_imports_is_required(kind):
    files = files_of(Names(kind, "my-own"))
    project = tomllib.loads(files[PurePosixPath("pyproject.toml")])["project"]
    required = {item.split(">")[0].replace("-", "_") for item in project["dependencies"]}
    imported = {
        module
        for path, content in files.items()
        if path.suffix == ".py" and path.parts[0] == "src"
        for module in imports(content)
    }
    assert imported - {"bdbench_" + kind + "_my_own"} == required
    hooks = files[PurePosixPath(f"src/bdbench_{kind}_my_own/hooks.py")]
    assert set(imports(hooks)) == {"bdbench"}


def entries(folder):
    return [path.name for path in folder.iterdir()]


def imports(source):
    """Packages that are neither Python's own nor the file's future."""
    for node in ast.walk(ast.parse(source)):
        found = [item.name for item in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            found = [node.module]
        for name in found:
            if name.partition(".")[0] not in {*sys.stdlib_module_names, "__future__"}:
                yield name.partition(".")[0]


@kinds
@pytest.mark.parametrize("name", ["x", "a1-b2", "a-name-of-24-letters-as", "a" * LONGEST])
def test_every_file_is_well_formed_whatever_the_name(kind, name):
    for path, content in files_of(names_for(kind, name)).items():
        assert "<<" not in content
        assert "<%" not in content
        assert content == "" or content.endswith("\n")
        assert not content.endswith("\n\n"), path
        match path.suffix:
            case ".py":
                ast.parse(content)
            case ".yaml":
                assert parse_value(content, str(path))["name"] == name
            case ".yml":
                assert yaml.safe_load(content)["jobs"]
            case ".toml":
                tomllib.loads(content)


@kinds
def test_the_suite_names_the_new_component_and_what_the_readme_says(kind):
    files = files_of(Names(kind, "my-own"))
    suite = yaml.safe_load(files[PurePosixPath("suite.yaml")])
    assert "my-own" in str(suite[f"{kind}s"])
    assert suite["seeds"] == [0, 1, 2]
    for plugin in SUITE_PLUGINS[kind]:
        assert plugin in files[PurePosixPath("README.md")]


def test_the_licence_is_the_hosts():
    licence = files_of(Names("attack", "x"))[PurePosixPath("LICENSE")]
    assert licence == (ROOT / "LICENSE").read_text("utf-8")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0", ">=0.1,<0.2"),
        ("0.9.3rc1", ">=0.9,<0.10"),
        ("1.0", ">=1.0,<2"),
        ("2.7", ">=2.7,<3"),
    ],
)
def test_the_range_of_hosts_follows_the_host(version, expected):
    assert host_range(version) == expected


HOSTILE = [
    *("", "-", "--out", "-x", "x-", "x--y", "x_y", "x y", "x\n", "X", "Rare", "1x", "x.y"),
    *("..", "../x", "x/y", "/etc/x", "<<kind>>", "{{ 7 * 7 }}", '"""', "$(id)", "`id`", "x;id"),
    *("\u00e9", "x\u202e", "x\x1b[31m", "a" * (LONGEST + 1), "a" * 5000),
]


@kinds
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_gets_nowhere(kind, name):
    with pytest.raises(InputError) as refused:
        names_for(kind, name)
    assert len(str(refused.value)) < 500
    assert refused.value.expected


def test_a_refused_name_writes_nothing_and_says_what_would_do(bdbench, tmp_path):
    done = bdbench("new", "attack", "../Rare_Words", "--out", tmp_path)
    assert (done.code, done.out) == (4, "")
    assert "Next: write 'rare-words'." in done.err
    assert entries(tmp_path) == []


@pytest.mark.parametrize("name", ["bdbench-attack-rare", "attack-rare", "bdbench-rare"])
def test_the_kind_is_not_said_twice(name):
    with pytest.raises(InputError, match="repeats") as refused:
        names_for("attack", name)
    assert refused.value.next == "write 'rare'"


@pytest.mark.parametrize(("kind", "name"), [("metric", "attack"), ("model", "component")])
def test_no_class_takes_the_name_of_one_of_bdbenchs(kind, name):
    with pytest.raises(InputError, match="bear the name"):
        names_for(kind, name)


@kinds
@pytest.mark.parametrize("name", ["none", "true", "class", "bert", "test", "api"])
def test_a_name_that_python_or_others_use_is_harmless(kind, name):
    names = names_for(kind, name)
    assert names.class_name.isidentifier()
    assert not {names.class_name, names.config_name} & set(api.__all__)
    for path, content in files_of(names).items():
        if path.suffix == ".py":
            ast.parse(content)


@pytest.mark.parametrize("occupant", ["folder", "file", "dangling link"])
def test_what_is_there_stays(bdbench, tmp_path, occupant):
    place = tmp_path / "bdbench-attack-mine"
    if occupant == "folder":
        place.mkdir()
    elif occupant == "file":
        place.write_text("precious", "utf-8")
    else:
        place.symlink_to(tmp_path / "nowhere")

    done = bdbench("new", "attack", "mine", "--out", tmp_path)

    assert done.code == 4
    assert "there is something of that name already" in done.err
    assert entries(tmp_path) == [place.name]
    assert occupant != "folder" or entries(place) == []


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    written = []
    honest = Path.write_text

    def failing(path, *arguments):
        written.append(path)
        if len(written) == 5:
            raise OSError(28, "No space left on device")
        return honest(path, *arguments)

    monkeypatch.setattr(Path, "write_text", failing)
    with pytest.raises(InputError, match="No space left"):
        write(Names("attack", "mine"), tmp_path)
    assert len(written) == 5
    assert entries(tmp_path) == []


def test_a_folder_that_is_not_there_is_a_mistake(bdbench, tmp_path):
    done = bdbench("new", "attack", "mine", "--out", tmp_path / "nowhere")
    assert done.code == 4
    assert "nowhere" in done.err


def test_another_kind_is_a_mistake(bdbench, tmp_path):
    done = bdbench("new", "atack", "mine", "--out", tmp_path)
    assert done.code == 4
    assert "attack" in done.err


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("attack", "badnets", "suites must write bdbench-attack-badnets/badnets"),
        ("attack", "bad-nets", "'bad-nets' is easily taken for 'badnets', of bdbench-attack-ins"),
        ("defense", "onions", "'onions' is easily taken for 'onion'"),
        ("defense", "onion", "there is a distribution bdbench-defense-onion already"),
        ("attack", "insertions", "bdbench-attack-insertions is easily taken for bdbench-attack-in"),
    ],
)
def test_names_that_are_taken_or_near_are_warned_about(bdbench, tmp_path, kind, name, expected):
    done = bdbench("new", kind, name, "--out", tmp_path)
    assert done.code == 0
    assert done.err.startswith("warning: ")
    assert expected in done.err.partition("\n")[0]


@pytest.mark.parametrize(("kind", "name"), [("metric", "badnets"), ("attack", "rare-token")])
def test_a_name_of_its_own_is_not_warned_about(kind, name):
    assert list(warnings_for(Names(kind, name), Host([]))) == []
