"""`python -m scripts.scheduler MODULE`: periodiq's own command, which comes without a module to run."""

from periodiq import entrypoint

if __name__ == "__main__":
    entrypoint()
