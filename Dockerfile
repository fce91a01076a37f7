# Two stages: the first installs the locked requirements; the second has no pip cache and does not run as root.
# By digest, so that a build does not change with the tag; tests/deployment refuses an image without one. To find a newer one:
# docker buildx imagetools inspect python:3.11-slim-bookworm --format '{{.Manifest.Digest}}'
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
COPY requirements.txt .
# --no-deps: the lock file is complete, and omits some dependencies on purpose (requirements-overrides.txt).
# The program ffmpeg (165 MiB) is only run by MoviePy in a benchmark, and by tests.
# The image's own pip installs them: another one in the environment would only be copied along.
RUN python -m venv --without-pip /app/.venv && \
  pip --python /app/.venv/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements.txt && \
  rm -r /app/.venv/lib/python3.11/site-packages/imageio_ffmpeg/binaries
COPY settings.py process_protection.py liveness.py redaction.py ./
COPY actors actors
COPY api api
COPY broker broker
COPY files files
COPY frontend frontend
COPY media media
COPY platforms platforms
COPY scripts scripts
COPY store store
# Byte code is compiled here: a cold start reads half as much from disk, and the final user cannot write to /app.
# Readable for all, since Docker copies the permissions of a checkout, which may be private.
RUN /app/.venv/bin/python -m compileall -q /app && chmod -R a+rX /app

FROM ${PYTHON_IMAGE}
# mediapipe links the first two libraries; Pillow loads the third for titles in Arabic, Hebrew and Indic scripts.
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgles2 libfribidi0 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 vidprod && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data vidprod && \
  mkdir -m 700 /data && chown 10001:10001 /data
COPY --from=build /app /app
WORKDIR /app
# In numbers: Kubernetes (runAsNonRoot) cannot know that a name is not root's.
USER 10001:10001
ENV ENVIRONMENT=production DATA_DIR=/data HOST=0.0.0.0 PORT=8000 PYTHONUNBUFFERED=1 PATH=/app/.venv/bin:$PATH
VOLUME /data
EXPOSE 8000
# At the address on which HOST is reached (settings.LOOPBACK). No proxy of the environment is asked, no package is loaded.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-IS", "-c", "\
import http.client, os, sys; \
host, port = os.environ['HOST'], int(os.environ['PORT']); \
host = {'*': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host); \
api = http.client.HTTPConnection(host, port, timeout=4); \
api.request('GET', '/health'); \
sys.exit(api.getresponse().status != 200)"]
# Without a shell, so that signals reach the supervisor, which needs up to 20 seconds to stop: docker stop --time 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/.venv/bin/python", "-m", "scripts.machine.serve"]
