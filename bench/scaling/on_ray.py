"""This service on Ray Serve, on this machine alone: python -m bench.scaling.on_ray PORT REPLICAS

The settings come from the environment, as those of `serve run`; `variables` are what Ray needs there besides. All that
Ray and HAProxy write lies in the folder for temporary files.
"""

import os
import socket
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = Path("deploy/ray_serve.env")
HOST = "127.0.0.1"


def variables() -> dict[str, str]:
    """Those of deploy/ray_serve.env, free ports, time to start on a busy machine, no trace in the home directory."""
    lines = [line for line in ENVIRONMENT.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    deployed = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    return deployed | {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
    }


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def main(port: int, replicas: int) -> None:
    folder = Path(tempfile.gettempdir())
    os.environ |= {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
    }
    import ray  # after the environment, which it reads when it is imported
    from ray import serve

    from deploy.ray_serve import Scale, application

    ray.init("local", num_cpus=replicas, include_dashboard=False, log_to_driver=False, _node_ip_address=HOST)
    quiet = {"enable_access_log": False, "log_level": "WARNING"}
    serve.start(http_options={"host": HOST, "port": port}, logging_config=quiet)
    serve.run(application(Scale(min_replicas=replicas, max_replicas=replicas)), blocking=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
