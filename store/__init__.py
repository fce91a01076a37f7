"""The application's database: jobs, segments, publications, accounts, webhook endpoints and deliveries.

Read `tables` first, then `connection` (how a change is written), then one module a table. Functions take the open
connection, so that several changes, and the messages that follow from them, commit together. Messages themselves live
in the broker's tables of the same file; nothing here knows of them.
"""

from store.connection import Store
from store.errors import DatabaseReplaced, DatabaseUnavailable
from store.sealing import Sealer

__all__ = ["DatabaseReplaced", "DatabaseUnavailable", "Sealer", "Store"]
