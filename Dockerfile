# edgeopt with the toolchains of LiteRT and OpenVINO, and torch for the CPU.
#
#   docker build -t edgeopt --build-arg TORCH_INDEX="$TORCH_INDEX" .    the index that pytorch.org names for the CPU
#   docker run --rm -v "$PWD:/work" edgeopt deploy my_models:make --target rpi4 --output out/rpi4
#
# EXTRAS chooses others: docker build --build-arg EXTRAS=tflite,tvm,micro,compress .
FROM python:3.11-slim-bookworm AS build

ARG EXTRAS=tflite,openvino
# Empty: the usual index, whose torch brings CUDA along.
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY edgeopt edgeopt
COPY targets targets
COPY backends backends
RUN python -m venv /opt/edgeopt \
    && /opt/edgeopt/bin/pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch \
    && /opt/edgeopt/bin/pip install -c constraints.txt ".[$EXTRAS]"

FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 1000 edgeopt
COPY --from=build /opt/edgeopt /opt/edgeopt
ENV PATH=/opt/edgeopt/bin:$PATH
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["edgeopt"]
CMD ["--help"]
