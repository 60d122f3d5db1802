from dataclasses import dataclass

import pytest

from retrain.data import Completeness, Seen, is_complete, remember, scan, scan_all, storage
from retrain.exceptions import ContractError, DeclarationError


@dataclass(frozen=True)
class Listed:
    uri: str = "file:///x/1.csv"
    size: int = 10
    token: str = "a"
    modified: float | None = 1000.0


@pytest.fixture(params=["file", "memory"])
def root(request, tmp_path):
    return tmp_path.as_uri() if request.param == "file" else f"memory://complete/{tmp_path.name}"


def partitions(founds):
    return [found.partition for found in founds]


def put(*uris):
    for uri in uris:
        storage.write_bytes(uri, b"x")


def test_a_rule_survives_the_declaration_as_a_plain_dict():
    rule = Completeness(age_seconds=60, stable_seconds=5, marker="{partition}.done", ignore=("*.bak",))
    assert Completeness.from_dict(rule.to_dict()) == rule
    assert Completeness.from_dict({}) == Completeness()
    assert Completeness.of({"age_seconds": 60}).age_seconds == 60


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"age_seconds": -1}, "age_seconds=-1"),
        ({"age_seconds": float("nan")}, "age_seconds=nan"),
        ({"stable_seconds": float("inf")}, "stable_seconds=inf"),
        ({"marker": ""}, "marker=''"),
        ({"marker": "../_SUCCESS"}, "marker='../_SUCCESS'"),
        ({"marker": "{day}.done"}, "marker='{day}.done'"),
        ({"ignore": ("",)}, "ignore="),
        ({"ignore": "*.bak"}, "ignore="),
    ],
)
def test_a_bad_rule_is_refused_with_its_field(fields, named):
    with pytest.raises(DeclarationError) as raised:
        Completeness(**fields)
    assert named in str(raised.value)


@pytest.mark.parametrize("fields", [{"age": 3}, {"age_seconds": "soon"}, {"ignore": "*.bak"}, {"marker": 3}])
def test_a_rule_of_the_wrong_shape_is_refused_with_its_field(fields):
    with pytest.raises(ContractError, match=next(iter(fields))):
        Completeness.from_dict(fields)


@pytest.mark.parametrize(("now", "done"), [(1059.9, False), (1060.0, True), (900.0, False)])
def test_an_object_is_finished_when_it_is_old_enough(now, done):
    assert is_complete(Listed(), Completeness(age_seconds=60), now=now) is done


def test_without_a_time_of_modification_the_age_counts_from_the_first_listing_that_showed_it():
    rule, entry = Completeness(age_seconds=60), Listed(modified=None)
    assert not is_complete(entry, rule, now=5000.0)
    assert not is_complete(entry, rule, now=5000.0, seen=Seen(10, "a", 4950.0))
    assert is_complete(entry, rule, now=5010.0, seen=Seen(10, "a", 4950.0))


@pytest.mark.parametrize(
    ("seen", "done"),
    [
        (Seen(10, "a", 5000.0), True),
        (Seen(10, "a", 5000.1), False),
        (Seen(9, "a", 5000.0), False),
        (Seen(10, "b", 5000.0), False),
    ],
)
def test_an_object_is_finished_when_two_listings_so_far_apart_show_the_same(seen, done):
    assert is_complete(Listed(), Completeness(stable_seconds=30), now=5030.0, seen=seen) is done


@pytest.mark.parametrize(("now", "done"), [(1030.0, True), (1029.0, False)])
def test_where_nothing_is_remembered_stability_goes_by_the_time_of_modification(now, done):
    assert is_complete(Listed(), Completeness(stable_seconds=30), now=now) is done


def test_all_rules_must_hold():
    rule = Completeness(age_seconds=10, marker="_SUCCESS")
    assert not is_complete(Listed(), rule, now=2000.0)
    assert not is_complete(Listed(), rule, now=1001.0, marked=True)
    assert is_complete(Listed(), rule, now=2000.0, marked=True)


def test_memory_keeps_since_when_an_object_is_as_it_is_and_forgets_what_is_gone():
    one, two = Listed(), Listed(uri="file:///x/2.csv")
    first = remember({}, [one, two], 100.0)
    second = remember(first, [one], 200.0)
    third = remember(second, [Listed(size=11)], 300.0)
    assert second == {one.uri: Seen(10, "a", 100.0)}
    assert third == {one.uri: Seen(11, "a", 300.0)}


def test_what_is_still_being_written_is_told_apart(root):
    put(f"{root}/1.csv", f"{root}/2.csv")
    found = scan(f"{root}/{{partition}}.csv")
    moment = max(one.modified for one in found) + 30
    assert scan_all(f"{root}/{{partition}}.csv", {"age_seconds": 60}, now=moment) == ((), found)
    assert scan_all(f"{root}/{{partition}}.csv", {"age_seconds": 10}, now=moment) == (found, ())


def test_a_growing_object_is_finished_once_two_listings_agree(root):
    template, rule = f"{root}/{{partition}}.csv", Completeness(stable_seconds=10)
    seen, finished = {}, []
    for moment, content in ((0.0, b"1"), (10.0, b"12"), (15.0, b"12"), (21.0, b"12")):
        if moment != 15.0 and moment != 21.0:
            storage.write_bytes(f"{root}/1.csv", content)
        done, waiting = scan_all(template, rule, seen=seen, now=moment)
        seen = remember(seen, [*done, *waiting], moment)
        finished.append(partitions(done))
    assert finished == [[], [], [], ["1"]]


def test_a_marker_beside_the_file_finishes_its_partition_only(root):
    put(f"{root}/1.csv", f"{root}/2.csv", f"{root}/1.done")
    done, waiting = scan_all(f"{root}/{{partition}}.csv", {"marker": "{partition}.done"})
    assert (partitions(done), partitions(waiting)) == (["1"], ["2"])


def test_a_marker_in_a_partitions_folder_finishes_it(root):
    put(f"{root}/day=1/data.csv", f"{root}/day=1/_SUCCESS", f"{root}/day=2/data.csv", f"{root}/day=3/_SUCCESS")
    done, waiting = scan_all(f"{root}/day={{partition}}/data.csv", {"marker": "_SUCCESS"})
    assert (partitions(done), partitions(waiting)) == (["1"], ["2"])


def test_names_to_ignore_are_shell_patterns(root):
    put(f"{root}/a.csv", f"{root}/a-draft.csv", f"{root}/b[1].csv")
    assert partitions(scan(f"{root}/{{partition}}.csv", complete={"ignore": ["*-draft.csv"]})) == ["a", "b[1]"]


@pytest.mark.parametrize(
    "name", [".a", "_a", "a.tmp", "a.part", "a.crdownload", "a.inprogress", "a~", "a._COPYING_", "a.filepart"]
)
def test_hidden_and_temporary_names_are_never_finished(root, name):
    put(f"{root}/{name}", f"{root}/good")
    assert partitions(scan(f"{root}/{{partition}}")) == ["good"]


def test_hadoops_unfinished_output_is_not_looked_into(root):
    put(f"{root}/_temporary/0/part.csv", f"{root}/2013/part.csv")
    assert partitions(scan(f"{root}/{{partition}}/part.csv")) == ["2013"]
