# Built and run on the same image, so that the environment's interpreter is where it was built.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --root-user-action=ignore uv==0.13.9
# Bytecode is compiled here because containers may not write it: they are read-only, or run as any user.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/app/venv
# Bytecode to highlight 500 languages is 4 MB that no run imports; uv leaves its lock writable to everybody.
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=requirements.lock,target=/tmp/requirements.lock \
    uv venv --python python3 "$VIRTUAL_ENV" \
    && uv pip install --require-hashes --requirements /tmp/requirements.lock \
    && rm -rf "$VIRTUAL_ENV"/lib/python3.*/site-packages/pygments/lexers/__pycache__ "$VIRTUAL_ENV/.lock"
# Apart from its dependencies: a new evalwire is then a small layer on top of an unchanged big one.
COPY pyproject.toml README.md LICENSE /src/
COPY app /src/app
# Without a trace of where it was built: to users' requirements it is the release of its version.
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=image/evalwire_overlay.pth,target=/tmp/evalwire_overlay.pth \
    uv pip install --no-deps --prefix /own /src \
    && cp /tmp/evalwire_overlay.pth /own/lib/python3.*/site-packages/ \
    && PYTHONPATH="$(echo /own/lib/python3.*/site-packages)" "$VIRTUAL_ENV/bin/python" -c \
        'from evalwire.reports.html import compile_templates; compile_templates()' \
    && rm -f /own/.lock /own/lib/python3.*/site-packages/evalwire-*.dist-info/direct_url.json

FROM ${PYTHON_IMAGE}
# The official image has no bytecode of the standard library, which would cost every start half a second.
RUN python3 -m compileall -q -x '/(ensurepip|idlelib|pydoc_data|site-packages|test|tkinter|turtledemo)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# For requirements of your own: docs/dependencies.md.
COPY --from=build /usr/local/bin/uv /usr/local/bin/uv
COPY --from=build /app /app
COPY --from=build /own /app/venv
COPY --chmod=755 image/evalwire-install /usr/local/bin/
COPY --chmod=755 entrypoint.sh image/overlay.py /app/
# HOME: any user may run this, also one without an entry in /etc/passwd. PHOENIX_DISCOVER_CONFIG: a mounted folder
# must not choose where the API key is sent.
ENV PATH=/app/venv/bin:$PATH VIRTUAL_ENV=/app/venv HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PHOENIX_DISCOVER_CONFIG=false
# A lock that lacks a dependency fails here. Group 0 may write, as platforms that choose the user expect.
RUN uv pip check --no-cache && evalwire --version && mkdir --mode=775 /work \
    && uv pip freeze --no-cache >/app/constraints.txt
WORKDIR /work
USER 12021:0
ENTRYPOINT ["/app/entrypoint.sh"]
LABEL org.opencontainers.image.title="evalwire" \
      org.opencontainers.image.description="Run LLM evaluation experiments in CI: Phoenix datasets in, honest exit codes out." \
      org.opencontainers.image.licenses="Apache-2.0"
# Last, because they change with every build.
ARG SOURCE=
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
