# One image for every process: `docker compose up` runs it once a process.
FROM python:3.13-slim AS build
COPY requirements-image.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-image.lock \
    && /venv/bin/pip uninstall --yes pip

FROM python:3.13-slim
LABEL org.opencontainers.image.title="order-execution-engine" \
    org.opencontainers.image.description="Executes swap orders through an event log that can be replayed and audited" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 engine \
    && useradd --system --uid 10001 --gid 10001 --no-create-home engine \
    && install -d -o engine -m 0700 /data
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data HOST=0.0.0.0 LOG_FORMAT=json METRICS_PORT=9464
# By number: Kubernetes' runAsNonRoot takes no name.
USER 10001:10001
VOLUME /data
EXPOSE 3000
# Each process answers /healthz on METRICS_PORT, by its own sign of life; bash asks, without a Python.
HEALTHCHECK --interval=5s --timeout=3s --retries=3 --start-period=30s \
    CMD ["/app/deploy/healthcheck.sh"]
# Exec form: signals reach the process, which stops by itself within two seconds.
ENTRYPOINT ["python", "-m", "engine"]
CMD ["gateway"]
