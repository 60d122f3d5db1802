import time

import pytest

from retrain.data import scan, storage
from retrain.exceptions import DeclarationError


@pytest.fixture(params=["file", "memory"])
def root(request, tmp_path):
    return tmp_path.as_uri() if request.param == "file" else f"memory://scan/{tmp_path.name}"


def put(uri, content=b"x"):
    return storage.write_bytes(uri, content)


def partitions(template):
    return [found.partition for found in scan(template)]


def test_partitions_are_sorted_and_carry_their_size(root):
    for month, size in (("2013-02", 2), ("2013-01", 1)):
        put(f"{root}/flights_{month}.csv", b"x" * size)
    put(f"{root}/readme.txt")
    put(f"{root}/other_2013-01.csv")
    found = scan(f"{root}/flights_{{partition}}.csv")
    assert [(one.partition, one.size) for one in found] == [("2013-01", 1), ("2013-02", 2)]
    assert storage.read_bytes(found[0].uri) == b"x"


def test_hidden_and_unfinished_files_are_passed_over(root):
    for name in (".a", "_SUCCESS", "b.tmp", "c.part", "d.crdownload", "e~", "f.TMP", "good"):
        put(f"{root}/{name}")
    assert partitions(f"{root}/{{partition}}") == ["good"]


def test_a_hidden_partition_is_passed_over_behind_a_prefix(root):
    for name in ("x_.a.csv", "x__b.csv", "x_...csv", "x_c.csv"):
        put(f"{root}/{name}")
    assert partitions(f"{root}/x_{{partition}}.csv") == ["c"]


def test_a_folder_can_be_the_partition(root):
    put(f"{root}/month=2013-01/data.csv")
    put(f"{root}/month=2013-02/other.csv")
    put(f"{root}/month=2013-03/data.csv/inner.csv")
    put(f"{root}/_month=2013-04/data.csv")
    assert partitions(f"{root}/month={{partition}}/data.csv") == ["2013-01"]


def test_folders_are_not_files(root):
    put(f"{root}/2013-01/data.csv")
    assert partitions(f"{root}/{{partition}}") == []


def test_the_token_changes_with_the_object(root):
    put(f"{root}/1.csv", b"a")
    before = scan(f"{root}/{{partition}}.csv")
    assert scan(f"{root}/{{partition}}.csv") == before
    put(f"{root}/1.csv", b"b")
    assert scan(f"{root}/{{partition}}.csv")[0].token != before[0].token


def test_a_folder_that_is_not_there_has_no_partitions(root):
    assert scan(f"{root}/nothing/{{partition}}.csv") == ()


def test_every_other_character_of_a_template_stands_for_itself(root):
    put(f"{root}/a+b 1.csv")
    put(f"{root}/aab 2xcsv")
    assert partitions(f"{root}/a+b {{partition}}.csv") == ["1"]


@pytest.mark.parametrize(
    "template", ["/x/y.csv", "/x/{partition}/{partition}.csv", "/x/../{partition}.csv", "/x/{Partition}"]
)
def test_a_template_without_exactly_one_placeholder_is_refused(template):
    with pytest.raises(DeclarationError, match="not a template"):
        scan(template)


@pytest.mark.parametrize("name", ["a\\b", "tab\there", "line\nbreak", "bell\x07", "x" * 201])
def test_a_name_that_no_partition_may_have_is_passed_over_and_named_in_the_log(root, name, caplog):
    put(f"{root}/{name}.csv")
    put(f"{root}/ü {{x}} %41.csv")
    assert partitions(f"{root}/{{partition}}.csv") == ["ü {x} %41"]
    assert "is not a name for a partition" in caplog.text


def test_the_time_of_modification_is_told(root):
    before = time.time()
    put(f"{root}/1.csv")
    assert scan(f"{root}/{{partition}}.csv")[0].modified == pytest.approx(before, abs=60)
