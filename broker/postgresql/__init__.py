"""The broker on PostgreSQL, for several machines. Needs psycopg 3, which nothing else in this package imports."""

from broker.postgresql.backends import PostgresqlRateLimiterBackend, PostgresqlResultBackend
from broker.postgresql.bounded_connection import connect
from broker.postgresql.broker import PostgresqlBroker

__all__ = ["PostgresqlBroker", "PostgresqlRateLimiterBackend", "PostgresqlResultBackend", "connect"]
