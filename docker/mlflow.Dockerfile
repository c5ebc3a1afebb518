# The tracking role: MLflow's server in front of PostgreSQL. Build it from the repository's root.
FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements.lock ./
# None of the project's own code: the server is MLflow and the driver of its database, at the locked versions.
RUN /opt/venv/bin/pip install --no-cache-dir --constraint requirements.lock mlflow "psycopg[binary]"

FROM python:3.11-slim
# A named volume takes the owner of the folder it is first mounted on.
RUN useradd --uid 10001 --create-home app && install --directory --owner=app /artifacts
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
EXPOSE 5000
# Job execution off: its workers cost 2 GB and nothing here uses them.
ENV MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", "--artifacts-destination", "/artifacts"]
