import pytest

from retrain.exceptions import ContractError
from retrain.serving import Limits, Parity, Serving, ServingMode


def test_the_bare_names_of_mode_and_parity_are_as_good_as_the_members() -> None:
    declared = Serving(mode="docker", image="shop/serving:3", limits=Limits(parity="exact"))
    assert declared.mode is ServingMode.DOCKER
    assert declared.limits.parity is Parity.EXACT
    assert Serving.from_dict(declared.to_dict()) == declared


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ContractError, match=r"serving\.mode is 'cloud'\. Expected process \| scoring_server \| docker"):
        Serving(mode="cloud")
    with pytest.raises(ContractError, match=r"limits\.parity is 'near'\. Expected exact \| minor \| ignore"):
        Limits(parity="near")
