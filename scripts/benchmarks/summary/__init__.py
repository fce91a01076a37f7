"""`scripts/bench` without a name: all benchmarks, each beside its baselines, as one table.

complete_run  the benchmarks one after another, each as a process
  ├ __main__    that process: the rows of one benchmark, written to a file
  └ registry    the benchmarks, their commands, and the time that each takes
row           a row of the table: value, baseline, ratio, goal
table         the table as Markdown
environment   the machine on which the table was measured
versions      the versions of the programs that are measured beside this project
readme        the table's place in README.md
tools         programs and packages of others that are only installed for the comparison
"""
