# syntax=docker/dockerfile:1
# One image for every part of a deployment: code server (the default command), webserver, daemon, run workers, and
# the command line `prediction-assets`. deploy/compose.yaml and deploy/helm/values.yaml say which part runs what.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY deploy/requirements.txt deploy/build-requirements.txt deploy/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-deps --require-hashes -r deploy/requirements.txt \
    && python -m pip install --no-deps --require-hashes -r deploy/build-requirements.txt
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY prediction_assets prediction_assets
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/venv/bin/python -m pip install --no-deps --no-index /wheels/*.whl \
    && /opt/venv/bin/python -m pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /var/lib/prediction-assets --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app /opt/dagster/dagster_home /opt/dagster/dagster_home/storage \
        /var/lib/prediction-assets
COPY --from=build /opt/venv /opt/venv
COPY deploy/dagster.yaml deploy/workspace.yaml /opt/dagster/dagster_home/
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    DAGSTER_EVENT_BATCH_SIZE=500 \
    DAGSTER_HOME=/opt/dagster/dagster_home \
    PREDICTION_ASSETS_HOME=/var/lib/prediction-assets \
    PREDICTION_ASSETS_LOG_FORMAT=json
WORKDIR /opt/dagster/dagster_home
USER 10001:10001
EXPOSE 4000
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
    CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]
CMD ["dagster", "api", "grpc", "--host", "0.0.0.0", "--port", "4000", "--module-name", "prediction_assets.definitions", "--location-name", "prediction_assets"]
