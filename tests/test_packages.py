"""Which packages a finding names, with their versions, by the names of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from heap import Heap, run_folder

from leakhunt.packages import Installed, installed, packages_of
from leakhunt.pipeline import hunt
from leakhunt.render import REGISTRY
from leakhunt.runfolder import note_packages, read_run


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages with three distributions."""
    for name, file, text in [
        ("shop_client-2.1.0.dist-info", "RECORD", "shop_client/__init__.py,sha256=x,1\n../../bin/shop,,\n"),
        (
            "PyYAML-6.0.2.dist-info",
            "RECORD",
            "_yaml/__init__.py,,\nyaml/__init__.py,,\nPyYAML-6.0.2.dist-info/RECORD,,\n",
        ),
        ("old-1.0-py3.11.egg-info", "top_level.txt", "older\n"),
        ("half-1.0.dist-info.part", "RECORD", "half/__init__.py,,\n"),
    ]:
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    (tmp_path / "broken-1.0.dist-info").write_text("a file")
    return tmp_path


def told(found: tuple[Installed, ...]) -> list[str]:
    return [f"{one.name} {one.version}" for one in found]


def test_a_module_is_of_the_distribution_of_its_name_or_of_the_one_that_lists_it(site: Path) -> None:
    among = installed([str(site), "relative", "/nowhere"])
    names = ["shop_client.session.Session", "yaml.Loader", "shop_client.CACHE", "builtins.dict", "__main__.X", "mine.Y"]
    assert told(packages_of(names, among)) == ["shop-client 2.1.0", "PyYAML 6.0.2"]


def test_the_first_folder_of_the_path_counts(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = tmp_path_factory.mktemp("first")
    (first / "shop_client-3.0.dist-info").mkdir()
    assert told(packages_of(["shop_client.X"], installed([str(first), str(site)]))) == ["shop-client 3.0"]


def test_without_the_files_the_name_is_enough(site: Path) -> None:
    among = [Installed(one.name, one.version, "/gone") for one in installed([str(site)])]
    assert told(packages_of(["shop_client.X", "yaml.Loader"], among)) == ["shop-client 2.1.0"]


def test_a_container_s_packages_are_looked_for_below_its_root(site: Path) -> None:
    (among,) = {one.version for one in installed(["/"], str(site)) if one.name == "shop-client"}
    assert among == "2.1.0"


def test_a_report_names_the_versions_as_they_were_when_the_program_ran(tmp_path: Path) -> None:
    heap = Heap()
    orders = heap.list()
    heap.module("shop_client", ORDERS=orders)
    heap.class_("shop_client.Order", "/app/shop_client.py", 3)

    def serve(k: int) -> None:
        for _ in range(10):
            orders.append(heap.instance("shop_client.Order"))

    run = run_folder(tmp_path / "run", heap.live(serve, moments=30))
    assert hunt(run).findings[0].packages == ()
    note_packages(run, [("shop-client", "2.1.0", "/gone")])
    assert read_run(run).packages == (("shop-client", "2.1.0", "/gone"),)
    found = hunt(run)
    assert [(one.name, one.version) for one in found.findings[0].packages] == [("shop-client", "2.1.0")]
    assert "packages    shop-client 2.1.0" in REGISTRY["text"]().render(found)
    assert "shop-client 2.1.0" in REGISTRY["html"]().render(found)


@pytest.mark.parametrize("text", ["", "{", "5", "[[1]]", '[["a", "b"]]', "[" * 100_000])
def test_a_list_of_packages_that_is_damaged_is_left_out(tmp_path: Path, text: str) -> None:
    heap = Heap()
    run = run_folder(tmp_path / "run", heap.live(lambda k: None, moments=2))
    (run / "packages.json").write_text(text)
    assert not read_run(run).packages
