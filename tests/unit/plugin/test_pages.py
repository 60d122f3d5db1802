"""Which stored objects are shown as pages; the web app around it is tested in a real API server."""

from pathlib import Path

import pytest

from retrain.exceptions import StoreUnavailableError, UnreadableDataError
from retrain.plugin.addresses import page_path
from retrain.plugin.pages import LARGEST_BYTES, ForbiddenPageError, read_page


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    (folder / "m").mkdir(parents=True)
    (folder / "m" / "page.html").write_text("<p>page")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "page.html").write_text("<p>other")
    return folder


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_page_of_any_declared_store_is_read(store: Path, ending: str) -> None:
    stores = ["s3://elsewhere", f"{store}{ending}"]
    assert read_page(f"{store}/m/page.html", stores) == b"<p>page"
    assert read_page((store / "m" / "page.html").as_uri(), [store.as_uri() + ending]) == b"<p>page"


def test_a_store_behind_a_symbolic_link_is_a_store(store: Path) -> None:
    link = store.parent / "link"
    link.symlink_to(store)
    (store / "alias.html").symlink_to(store / "m" / "page.html")
    assert read_page(f"{link}/alias.html", [str(link)]) == b"<p>page"


@pytest.mark.parametrize(
    "uri",
    [
        "{root}/other/page.html",
        "{root}/store/../other/page.html",
        "{root}/store/m/./page.html",
        "{root}/store\\..\\other/page.html",
        "{root}/store",
        "{root}/store.html",
        "{root}/store/m/rows.parquet",
        "{root}/store/m/page.html\n",
        "{root}/store/m/\x00.html",
        "file://localhost{root}/store/m/page.html",
        "memory://store/page.html",
        "page.html",
        ".html",
        "",
    ],
)
def test_everything_else_is_refused(store: Path, uri: str) -> None:
    with pytest.raises(ForbiddenPageError, match="is not shown"):
        read_page(uri.format(root=store.parent), [str(store)])


def test_without_a_store_nothing_is_shown(store: Path) -> None:
    with pytest.raises(ForbiddenPageError, match=r"\[retrain\] page_stores"):
        read_page(f"{store}/m/page.html", [])


def test_a_link_out_of_the_store_is_not_followed(store: Path) -> None:
    (store / "out.html").symlink_to(store.parent / "other" / "page.html")
    (store / "way").symlink_to(store.parent / "other")
    for name in ("out.html", "way/page.html"):
        with pytest.raises(ForbiddenPageError):
            read_page(f"{store}/{name}", [str(store)])


def test_a_page_that_is_gone_and_a_page_of_the_largest_size(store: Path) -> None:
    with pytest.raises(UnreadableDataError, match="is not there"):
        read_page(f"{store}/gone.html", [str(store)])
    large = store / "large.html"
    large.touch()
    with large.open("r+b") as file:
        file.truncate(LARGEST_BYTES)
        assert len(read_page(str(large), [str(store)])) == LARGEST_BYTES
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(ForbiddenPageError, match="at most 33,554,432"):
        read_page(str(large), [str(store)])


def test_a_store_that_does_not_answer_is_not_a_missing_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        read_page("s3://nowhere/page.html", ["s3://nowhere"])


def test_an_address_is_relative_and_quotes_what_airflow_allows_in_names() -> None:
    path = page_path("m.data", "scheduled__2024-01-01T00:00:00+00:00", "group.ingest", None, "drift")
    assert path == "retrain/pages/m.data/scheduled__2024-01-01T00%3A00%3A00%2B00%3A00/group.ingest/-1/drift"
    assert page_path("a/b", "c?d", "e#f", 3, "g h") == "retrain/pages/a%2Fb/c%3Fd/e%23f/3/g%20h"
