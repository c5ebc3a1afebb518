# The training role: one command line, one sweep. Build it from the repository's root.
#
# torch comes from wherever pip finds it. On Linux that is the CUDA build, several GB; for the CPU build, name the
# index that has it in PIP_EXTRA_INDEX_URL, or put its wheel in a folder and pass that as the build context `wheels`.
FROM scratch AS wheels

FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY pyproject.toml requirements.lock README.md LICENSE ./
ARG PIP_EXTRA_INDEX_URL=""
# The project without its code: this layer, the slow one, is made again only when a dependency changes.
RUN --mount=type=bind,from=wheels,target=/wheels \
    /opt/venv/bin/pip install --no-cache-dir --find-links /wheels --constraint requirements.lock ".[train]"

FROM python:3.11-slim
# A named volume takes the owner of the folder it is first mounted on.
RUN useradd --uid 10001 --create-home app && install --directory --owner=app /app/var /app/var/bundles
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
COPY conf/ conf/
COPY hydra_plugins/ hydra_plugins/
COPY serving/ serving/
COPY pipelines/ pipelines/
USER 10001
ENTRYPOINT ["python", "-m", "pipelines.train"]
