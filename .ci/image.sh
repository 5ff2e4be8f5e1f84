#!/usr/bin/env bash
# Build and test the CPU image where a container engine answers; say plainly where none does.
set -euo pipefail
answers() { ${DOCKER:-docker} info >/dev/null 2>&1; }
started=""
if ! answers && [ -x "${CONTAINER_ENGINE:-}" ]; then
  settings=$("$CONTAINER_ENGINE" up) && eval "$settings" && started=yes
fi
if ! answers; then
  echo "image: SKIPPED, no container engine answers here; the image was neither built nor tested"
  exit 0
fi
status=0
make image image-test DEVICE=cpu || status=$?
if [ -n "$started" ]; then "$CONTAINER_ENGINE" down; fi
exit $status
