# The container image. `make image DEVICE=cuda` takes pip's own index; for CPU pass TORCH_INDEX_URL where that index is not
# a CPU one. DOCKER and DOCKER_BUILD_FLAGS (secrets, network) are taken from the environment.

DOCKER ?= docker
DEVICE ?= cpu
IMAGE  ?= gatescope:$(DEVICE)

.PHONY: image image-test

image: ## build the container image, DEVICE=cpu or cuda
	$(DOCKER) build $(DOCKER_BUILD_FLAGS) --build-arg DEVICE=$(DEVICE) \
	  $(if $(TORCH_INDEX_URL),--build-arg TORCH_INDEX_URL=$(TORCH_INDEX_URL)) \
	  --build-arg REVISION=$(shell git rev-parse --short HEAD 2>/dev/null || echo unknown) -t $(IMAGE) .

image-test: $(VENV)/.test ## run the built image hardened, and test it from outside
	GATESCOPE_IMAGE=$(IMAGE) DOCKER="$(DOCKER)" $(BIN)/python -m pytest tests/image
