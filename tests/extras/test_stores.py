"""The stores of Google and Azure: their libraries install beside the rest, and the storage layer finds them.

No emulator of either is in any package registry, so what they do over the wire is not tested here.
"""

import pytest

from retrain.data import storage


@pytest.mark.parametrize(
    ("uri", "name", "options"),
    [
        ("gs://bucket/flights/2013-01.parquet", "GCSFileSystem", {"token": "anon"}),
        ("abfs://container/flights/2013-01.parquet", "AzureBlobFileSystem", {"account_name": "account", "anon": True}),
    ],
)
def test_storage_finds_the_filesystem_of_the_scheme(uri, name, options):
    with storage.configure(uri.partition(":")[0], **options):
        filesystem, path = storage.filesystem(uri)
    # gcsfs gives a subclass that also knows hierarchical namespaces.
    assert name in [kind.__name__ for kind in type(filesystem).__mro__]
    assert path.endswith("flights/2013-01.parquet")
