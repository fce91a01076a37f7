"""`scripts/bench cpu`: the CPU time of video, and the price of an hour of it.

__main__     measures CPU seconds a second of video, by way of rendering
machines     computes hours and prices from them for machines of Fly.io
every_third  the gaze stage with every third frame measured
rows         the rows in the table of all benchmarks
"""
