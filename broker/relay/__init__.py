"""Wakes the workers of a PostgreSQL database through RabbitMQ or Redis instead of notifications.

The messages stay in the database, and workers claim them there, with all guarantees of `broker.postgresql`. A `Relay`
keeps a few *tokens* for each queue that has ready messages in Dramatiq's own broker for RabbitMQ or Redis (the
*transport*). A token says that the queue has a message; the worker that receives it claims the most urgent ones. So
the transport may lose, double or delay tokens freely: a lost one is replaced, and a needless one finds nothing.

Needs psycopg 3, and pika or redis by the URL.
"""

from broker.relay.broker import RelayedBroker
from broker.relay.relay import Relay
from broker.relay.transport import open_transport

__all__ = ["Relay", "RelayedBroker", "open_transport"]
