# The build and the final stage use the same image, so that the virtual environment finds its interpreter.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --root-user-action=ignore uv==0.13.9
# Compile bytecode here, because containers are read-only or run as any user and cannot write it.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/app/venv
# Remove 4 MB of bytecode of lexers that no run imports, and the lock file of uv, which is world-writable.
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=requirements.lock,target=/tmp/requirements.lock \
    uv venv --python python3 "$VIRTUAL_ENV" \
    && uv pip install --require-hashes --requirements /tmp/requirements.lock \
    && rm -rf "$VIRTUAL_ENV"/lib/python3.*/site-packages/pygments/lexers/__pycache__ "$VIRTUAL_ENV/.lock"
# Install evalwire separately, so that a new version is a small layer on top of an unchanged large layer.
COPY pyproject.toml README.md LICENSE /src/
COPY app /src/app
# Remove the record of the build directory, so that requirements of users match this release by its version.
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=image/evalwire_overlay.pth,target=/tmp/evalwire_overlay.pth \
    uv pip install --no-deps --prefix /own /src \
    && cp /tmp/evalwire_overlay.pth /own/lib/python3.*/site-packages/ \
    && PYTHONPATH="$(echo /own/lib/python3.*/site-packages)" "$VIRTUAL_ENV/bin/python" -c \
        'from evalwire.reports.html import compile_templates; compile_templates()' \
    && rm -f /own/.lock /own/lib/python3.*/site-packages/evalwire-*.dist-info/direct_url.json

FROM ${PYTHON_IMAGE}
# The official image has no bytecode of the standard library. Compiling it saves half a second per start.
RUN python3 -m compileall -q -x '/(ensurepip|idlelib|pydoc_data|site-packages|test|tkinter|turtledemo)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# For additional requirements: see docs/dependencies.md.
COPY --from=build /usr/local/bin/uv /usr/local/bin/uv
COPY --from=build /app /app
COPY --from=build /own /app/venv
COPY --chmod=755 image/evalwire-install /usr/local/bin/
COPY --chmod=755 entrypoint.sh image/overlay.py /app/
# HOME: users without an entry in /etc/passwd need it. PHOENIX_DISCOVER_CONFIG: a mounted directory must not decide
# which server receives the API key.
ENV PATH=/app/venv/bin:$PATH VIRTUAL_ENV=/app/venv HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PHOENIX_DISCOVER_CONFIG=false
# An incomplete lock file fails here. Group 0 can write, as platforms with arbitrary users expect.
RUN uv pip check --no-cache && evalwire --version && mkdir --mode=775 /work \
    && uv pip freeze --no-cache >/app/constraints.txt
WORKDIR /work
USER 12021:0
ENTRYPOINT ["/app/entrypoint.sh"]
LABEL org.opencontainers.image.title="evalwire" \
      org.opencontainers.image.description="Evaluate LLM applications in CI with Arize Phoenix, with exit codes that pass or fail a job." \
      org.opencontainers.image.licenses="Apache-2.0"
# Last, because these labels change with every build.
ARG SOURCE=
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
