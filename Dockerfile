# gatescope, for CPU or CUDA: docker build --build-arg DEVICE=cpu|cuda --build-arg TORCH_INDEX_URL=... .
# Build secrets, both optional: pip_conf (a pip.conf) and ca_bundle (certificates it may name as /run/secrets/ca_bundle).
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ARG DEVICE=cpu
ARG TORCH_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# The compiler is for the recurrence's kernel; the runtime stage has none.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/gatescope
ENV PATH=/opt/gatescope/bin:$PATH
WORKDIR /build
COPY requirements requirements
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle \
    pip install --quiet --require-hashes -r requirements/image.lock \
 && pip install --quiet ${TORCH_INDEX_URL:+--index-url ${TORCH_INDEX_URL}} -c requirements/torch.txt torch \
 && python -c "import sys, torch; built = 'cuda' if torch.version.cuda else 'cpu'; \
sys.exit(built != '${DEVICE}' and f'DEVICE is ${DEVICE}, but pip found the {built} build of torch: pass TORCH_INDEX_URL')"
# The bill of materials is made by a tool that stays behind.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle \
    python -m venv /opt/sbom && /opt/sbom/bin/pip install --quiet --require-hashes -r requirements/sbom.lock
COPY pyproject.toml setup.p[y] README.md LICENSE ./
COPY models models
COPY service service
COPY client/gatescope client/gatescope
RUN pip install --quiet --no-deps --no-build-isolation .
# What the service never opens at run time: tests, headers, sources of what is compiled, tools and symbol tables; what
# torch.compile and export alone import (sympy, networkx, torch's inductor); and at last pip with its like. The bill of
# materials lists what is left.
RUN pip uninstall --quiet --yes sympy mpmath networkx \
 && cd /opt/gatescope/lib/python3*/site-packages \
 && rm -rf torch/test torch/include torch/share torch/lib/*.a torch/_inductor \
           torch/utils/benchmark torch/lib/lib*_test.so torch/lib/libbackend_with_compiler.so \
           numpy/*/tests numpy/_core/include matplotlib/tests matplotlib/mpl-data/sample_data functorch/dim/*.cpp \
           matplotlib/mpl-data/fonts/afm matplotlib/mpl-data/fonts/pdfcorefonts PIL/_avif*.so pillow.libs/libavif* \
           fastapi_offline/static/redoc* pip pip-* setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth \
 && rm -f /opt/gatescope/bin/pip* \
 && strip --strip-unneeded torch/lib/libtorch_cpu.so torch/lib/libtorch_python.so \
 && find . -name '*.so' ! -path './torch/*' ! -path './nvidia/*' ! -path './triton/*' ! -path './*.libs/*' -exec strip --strip-unneeded {} + \
 && find fontTools kiwisolver numpy uvloop httptools -name '*.c' -delete -o -name '*.pyx' -delete -o -name '*.pxd' -delete \
 && find torch/bin -type f ! -name torch_shm_manager -delete \
 && find . -name '*.pyi' -delete \
 && /opt/sbom/bin/cyclonedx-py environment --output-format JSON --output-file /opt/sbom.json /opt/gatescope/bin/python

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gatescope" \
      org.opencontainers.image.description="Trained RNN and LSTM text models over HTTP, with every gate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 gatescope && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin gatescope
COPY --from=builder /opt/gatescope /opt/gatescope
COPY --from=builder /opt/sbom.json /opt/sbom.json
COPY weights /weights
ENV PATH=/opt/gatescope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATESCOPE_HOST=0.0.0.0 \
    GATESCOPE_PORT=8000 \
    GATESCOPE_WEIGHTS_DIR=/weights \
    GATESCOPE_LOG_FORMAT=json \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "service.cli.probe"]
ENTRYPOINT ["gatescope"]
CMD ["serve"]
