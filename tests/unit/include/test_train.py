from types import SimpleNamespace

import pytest
import skops.io
from sklearn.metrics import roc_auc_score

from include.flights import landing
from include.flights.features import prepare
from include.flights.train import fit


def arrived(name):
    flights = landing.month(name)
    return flights[flights["late"].notna()]


@pytest.fixture(scope="module")
def january():
    flights = arrived("2013-01")
    return SimpleNamespace(features=prepare(flights), target=flights["late"])


@pytest.fixture(scope="module")
def model(january):
    return fit(january, {"max_iter": 30})


def test_a_model_of_january_ranks_the_flights_of_february(model):
    february = arrived("2013-02")
    scores = model.predict_proba(prepare(february))[:, 1]
    assert roc_auc_score(february["late"], scores) > 0.6


def test_parameters_override_the_defaults(model):
    assert model["trees"].max_iter == 30
    assert model["trees"].max_leaf_nodes == 15


def test_an_unknown_parameter_is_refused(january):
    with pytest.raises(TypeError, match="depth_of_thought"):
        fit(january, {"depth_of_thought": 3})


def test_the_same_rows_give_the_same_model(january, model):
    again = fit(january, {"max_iter": 30})
    assert (again.predict_proba(january.features) == model.predict_proba(january.features)).all()


def test_an_airline_that_was_never_seen_is_scored(january, model):
    strange = january.features.head(3).assign(carrier="ZZ", dest="XXX")
    assert model.predict_proba(strange).shape == (3, 2)


def test_the_model_is_saved_without_pickle_and_with_types_of_scikit_learn_only(january, model, tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    types = skops.io.get_untrusted_types(file=path)
    assert {name.partition(".")[0] for name in types} <= {"sklearn", "numpy"}
    loaded = skops.io.load(path, trusted=types)
    assert (loaded.predict_proba(january.features) == model.predict_proba(january.features)).all()
