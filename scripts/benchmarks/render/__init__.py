"""`scripts/bench render`, `render_cuts` and `render_memory`: cost and quality of rendering, cuts and memory.

__main__     CPU time, memory and quality of a rendering beside other programs
cuts         cuts inside words, counted over synthetic speech
memory       peak memory by kind of upload
baselines    the other programs: a plain transcode, a MoviePy pipeline
process_run  a child process with its CPU time and peak memory
quality      VMAF of a clip against its source
"""
