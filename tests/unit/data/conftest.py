import gzip
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def flights() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "carrier": ["UA", "AA", None, "B6"],
            "distance": [1400, 1416, 1089, 1576],
            "delay": [11.0, 20.5, None, -18.0],
            "late": [False, True, True, False],
            "sched": pd.to_datetime(["2013-01-01 05:15", "2013-01-01 05:29", "2013-01-01 05:40", "2013-01-01 05:45"]),
        }
    )


def damaged(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    """One file per way in which content can be unreadable."""
    frame.to_parquet(folder / "good.parquet")
    good = (folder / "good.parquet").read_bytes()
    packed = gzip.compress(frame.to_csv(index=False).encode())
    contents = {
        "truncated.parquet": good[: len(good) // 2],
        "flipped.parquet": good[:40] + bytes(200) + good[240:],
        "text.parquet": b"a,b\n1,2\n",
        "long_row.csv": b"a,b\n1,2\n3,4,5\n",
        "all_rows_long.csv": b"a,b\n1,2,3\n4,5,6\n",
        "open_quote.csv": b'a,b\n1,"x\n',
        "latin1.csv": "a,b\n1,Zürich\n".encode("latin-1"),
        "truncated.csv.gz": packed[: len(packed) // 2],
        "corrupt.csv.gz": packed[:20] + bytes(10) + packed[30:],
        "plain.csv.gz": b"a,b\n1,2\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


DAMAGES = (
    "truncated.parquet",
    "flipped.parquet",
    "text.parquet",
    "long_row.csv",
    "all_rows_long.csv",
    "open_quote.csv",
    "latin1.csv",
    "truncated.csv.gz",
    "corrupt.csv.gz",
    "plain.csv.gz",
)


@pytest.fixture(params=DAMAGES)
def damaged_file(request: pytest.FixtureRequest, tmp_path: Path, flights: pd.DataFrame) -> Path:
    return damaged(tmp_path, flights)[request.param]
