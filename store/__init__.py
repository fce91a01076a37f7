"""The application's database: jobs, segments, publications, accounts, webhook endpoints and deliveries.

Read `tables` first, then `connection` (transactions), then one module per table. Functions take an open connection, so
that several changes and their messages commit together. Messages are stored in the broker's tables of the same file,
which this package does not use.
"""

from store.connection import Store
from store.errors import CommitUnclear, DatabaseReplaced, DatabaseUnavailable
from store.sealing import Sealer

__all__ = ["CommitUnclear", "DatabaseReplaced", "DatabaseUnavailable", "Sealer", "Store"]
