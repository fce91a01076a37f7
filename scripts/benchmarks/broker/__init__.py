"""`scripts/bench broker`: Dramatiq brokers measured side by side.

__main__      the command: rounds, interleaved between the brokers
candidates    the brokers, what they need and how durable they are
environment   scratch directory, running servers, sizes of the measurements
  ├ servers     starts Redis, RabbitMQ and PostgreSQL
  └ target      a broker's address and an unused queue
measurements  latency, enqueue, drain, backlog, kill, idle
  ├ processes   worker and producer processes (`worker`, `producer`)
  ├ run_log     file in which workers record their runs
  └ resources   CPU time and memory of processes
limits        what the machine can do without any broker
figures       values with their titles; `table` prints them
"""
