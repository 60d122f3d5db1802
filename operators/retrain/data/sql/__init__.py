"""Tables in a database as a source of data, through SQLAlchemy.

sql://<conn_id>/<[schema.]table>                                        a table
sql://<conn_id>/<[schema.]table>?<column>=<value>                       some of its rows
sql://<conn_id>/<[schema.]table>?<column>={partition}[&changed=<col>]   one partition for each value of a column
sql://<conn_id>/<[schema.]table>?<column>>{partition}[&lag=<number>]    what came after the partition before
"""

from retrain.data.sql.address import Condition, SqlSource, SqlTable, is_sql, parse, table_of
from retrain.data.sql.engines import connections, engine_of
from retrain.data.sql.extracting import extract, extract_into
from retrain.data.sql.partitions import listing, scan
from retrain.data.sql.tables import Resolved, resolve

__all__ = [
    "Condition",
    "Resolved",
    "SqlSource",
    "SqlTable",
    "connections",
    "engine_of",
    "extract",
    "extract_into",
    "is_sql",
    "listing",
    "parse",
    "resolve",
    "scan",
    "table_of",
]
