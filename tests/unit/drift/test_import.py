import subprocess
import sys


def test_importing_the_package_loads_no_numerical_library():
    heavy = "{'numpy', 'pandas', 'scipy', 'pyarrow', 'evidently'}"
    code = f"import sys, retrain.drift, retrain.cli.drift; print(sorted({heavy} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
