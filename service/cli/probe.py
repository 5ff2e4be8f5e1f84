"""The image's HEALTHCHECK, without curl: exit status 0 where the server in this container is ready, else 1."""

import http.client
import os
import sys


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("GATESCOPE_PORT", "8000")), timeout=4)
    try:
        connection.request("GET", "/health/ready")
        return 0 if connection.getresponse().status == 200 else 1
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
