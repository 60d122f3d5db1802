"""Models that misbehave, saved as MLflow models from code."""

import textwrap
import warnings
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

HEAD = """
import os, sys, time
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Model(PythonModel):
    def load_context(self, context):
{load}

    def predict(self, context, model_input: pd.DataFrame, params=None):
{predict}
        return pd.DataFrame({{"prediction": model_input["x"] * 2, "score": model_input["x"] / 10}})

set_model(Model())
"""
EXAMPLE = pd.DataFrame({"x": [1.0, 2.0, 3.0]})


def living(pid: int) -> bool:
    """Return whether a process runs. One that has ended may still be listed until somebody asks how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def save(folder: Path, *, load: str = "pass", predict: str = "pass", requirements: tuple[str, ...] = ()) -> Path:
    """Save a model whose load and predict run the given lines first; its answers are twice x, and a tenth of it."""
    code = folder.with_suffix(".py")
    shift = " " * 8
    bodies = {
        name: textwrap.indent(textwrap.dedent(text), shift) for name, text in (("load", load), ("predict", predict))
    }
    code.write_text(HEAD.format(**bodies), encoding="utf-8")
    number = DataType.double
    signature = ModelSignature(
        inputs=Schema([ColSpec(number, name="x")]),
        outputs=Schema([ColSpec(number, name="prediction"), ColSpec(number, name="score")]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The example is written beside the model, without calling it: it would hang here too.
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(code),
            signature=signature,
            pip_requirements=[f"mlflow=={mlflow.__version__}", *requirements],
        )
    payload = '{"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0], [3.0]]}}'
    (folder / "serving_input_example.json").write_text(payload, encoding="utf-8")
    return folder
