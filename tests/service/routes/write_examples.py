"""`make examples`: ask the shipped models every example of OpenAPI anew, and write the answers beside the requests."""

import json
import tempfile
from pathlib import Path
from typing import Any

import httpx

from service.routes.documented import EXAMPLES
from service.settings import Settings
from tests.service.conftest import running

WEIGHTS = Path(__file__).parents[3] / "weights"


def only_named(examples: dict[str, Any], folder: Path) -> Path:
    """A folder with links to the models that the examples ask: loading the others takes time for nothing."""
    names = {example["path"]["name"] for example in examples.values() if "name" in example.get("path", {})}
    names |= {name for example in examples.values() for name in example.get("request", {}).get("models", [])}
    for name in names:
        (folder / name).symlink_to(WEIGHTS / name)
    return folder


def ask(client: httpx.Client, operation: str, example: dict[str, Any], accept: str = "*/*") -> httpx.Response:
    method, path = operation.split(" ")
    address = path.format(**example.get("path", {}))
    return client.request(method, address, json=example.get("request"), headers={"accept": accept})


def rounded(value: Any) -> Any:
    """Numbers as a reader wants them: four digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def main() -> None:
    examples = json.loads(EXAMPLES.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(weights_dir=only_named(examples, Path(folder)), device="cpu")
        with running(settings) as client:
            for operation, example in examples.items():
                answer = ask(client, operation, example)
                assert answer.status_code == 200, (operation, answer.text)
                if answer.headers["content-type"] == "application/json":
                    example["answer"] = rounded(answer.json())
    EXAMPLES.write_text(json.dumps(examples, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
