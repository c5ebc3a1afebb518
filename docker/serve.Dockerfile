# The serving role: FastAPI and ONNX Runtime, without torch and without MLflow. Build it from the repository's root.
#
# EXTRAS of pyproject.toml: `score` is pyarrow, for Arrow over HTTP and for `python -m serving.score`; `traces` sends
# OpenTelemetry's spans. pyarrow is 156 MB, a third of all: --build-arg EXTRAS=serve,traces leaves it out.
FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY pyproject.toml requirements.lock README.md LICENSE ./
ARG EXTRAS=serve,score,traces
# The project without its code: this layer, the slow one, is made again only when a dependency changes.
RUN /opt/venv/bin/pip install --no-cache-dir --constraint requirements.lock ".[$EXTRAS]"

FROM python:3.11-slim
# A named volume takes the owner of the folder it is first mounted on.
RUN useradd --uid 10001 --create-home app \
    && install --directory --owner=app /app/var/bundles /app/var/keys /app/var/.served-bundles
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
COPY serving/ serving/
USER 10001
EXPOSE 8000
CMD ["python", "-m", "serving"]
