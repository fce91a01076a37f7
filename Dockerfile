# Two stages: the first installs the locked requirements; the second has no pip cache and does not run as root.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt .
# --no-deps: the lock file is complete, and omits some dependencies on purpose (requirements-overrides.txt).
RUN python -m venv /app/.venv && /app/.venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
COPY settings.py process_protection.py liveness.py ./
COPY actors actors
COPY api api
COPY broker broker
COPY frontend frontend
COPY media media
COPY platforms platforms
COPY scripts scripts
COPY store store
# Byte code is compiled here: a cold start reads half as much from disk, and the final user cannot write to /app.
RUN /app/.venv/bin/python -m compileall -q /app

FROM python:3.11-slim-bookworm
# mediapipe links the first two libraries; Pillow loads the third for titles in Arabic, Hebrew and Indic scripts.
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgles2 libfribidi0 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home vidprod && mkdir -m 700 /data && chown vidprod:vidprod /data
COPY --from=build /app /app
WORKDIR /app
USER vidprod
ENV ENVIRONMENT=production DATA_DIR=/data HOST=0.0.0.0 PORT=8000 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["/app/.venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Without a shell, so that signals reach the supervisor.
ENTRYPOINT ["/app/.venv/bin/python", "-m", "scripts.machine.serve"]
