"""Class: a model's name is read as a path, and leads out of the weights folder."""

import shutil
import socket
import string
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import LoadRefused
from service.registry.folders import folder_of

from .conftest import NAME


@pytest.fixture
def outside(folder: Path) -> Path:
    """A good model beside the weights folder: a name that leads out of it would find one."""
    shutil.copytree(folder / NAME, folder.parent / "outside" / NAME)
    shutil.copytree(folder / NAME, folder.parent / NAME)
    return folder.parent / "outside"


def spellings(outside: Path) -> list[str]:
    absolute = str(outside / NAME)
    return [
        f"../{NAME}",
        f"..%2f{NAME}",
        f"..%2F{NAME}",
        f"%2e%2e%2f{NAME}",
        f"..%5c{NAME}",
        f"..%252f{NAME}",
        f"..%c0%af{NAME}",
        f"..%ef%bc%8f{NAME}",
        f"{NAME}%2f..%2f..%2foutside%2f{NAME}",
        f"outside%2f{NAME}",
        absolute.replace("/", "%2f"),
        f"/{absolute}",
        f"file:%2f%2f{absolute}",
        "..",
        ".",
        "%2e",
        "%00",
        f"{NAME}%00",
        f"{NAME}%00.txt",
        f"{NAME}%20",
        f"{NAME}.",
        f"{NAME}%0a",
        NAME.upper(),
        NAME.replace("i", "ı"),
        f"{NAME}%e2%80%8b",
        "~root",
        "$HOME",
        "%24%7bHOME%7d",
        "linked",
        "hidden%2f..",
        ".hidden",
        "*",
        "a" * 5000,
        "CON",
        "-rf",
    ]


def ask(client: httpx.Client, method: str, path: str) -> tuple[int, str]:
    """The path as it stands: a client that normalises it would hide what is tested."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10) as connection:
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = bytearray()
        while part := connection.recv(65536):
            answer += part
    return int(answer.split()[1]), answer.decode()


def test_no_spelling_of_a_name_leads_out_of_the_weights_folder(folder: Path, outside: Path, serve: Any) -> None:
    shutil.copytree(folder / NAME, folder / ".hidden")
    with serve(weights_dir=folder, model_control="explicit") as client:
        (folder / "linked").symlink_to(outside / NAME)  # at start it would be read: who makes it is the operator
        assert ask(client, "POST", f"/v2/repository/models/{NAME}/load")[0] == 200
        for name in spellings(outside):
            changes = [("POST", f"/v2/repository/models/{name}/{verb}") for verb in ("load", "unload")]
            for method, path in (*changes, ("GET", f"/v1/models/{name}"), ("GET", f"/v2/models/{name}/ready")):
                status, text = ask(client, method, path)
                assert 400 <= status < 500, (method, path, status)
                assert str(folder.parent) not in text.partition("\r\n\r\n")[2].replace(name, ""), text
        assert client.get("/health/ready").json()["models"] == [NAME]


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(folder: Path, outside: Path) -> None:
    (folder / "linked").symlink_to(outside / NAME)
    (folder / "within").symlink_to(folder / NAME)
    with pytest.raises(LoadRefused, match="link out of the weights folder"):
        folder_of(folder, "linked")
    assert folder_of(folder, "within") == folder / "within"


def test_what_is_and_what_is_not_outside_is_answered_alike(folder: Path, outside: Path) -> None:
    """So that no answer tells what files there are."""

    def reason(name: str) -> str:
        with pytest.raises(LoadRefused) as refused:
            folder_of(folder, name)
        return refused.value.reason

    assert reason(f"../outside/{NAME}") == reason("../outside/nobody")
    assert reason("/etc") == reason("/nowhere")


@given(st.text(st.sampled_from(string.ascii_letters + "./\\%\x00~- _٠ⅠＡ"), max_size=20))
def test_a_name_is_a_folder_that_is_there_or_nothing(weights_dir: Path, name: str) -> None:
    """Whatever the name: what is found lies directly below the weights folder, under that very name."""
    try:
        found = folder_of(weights_dir, name)
    except LoadRefused:
        return
    assert found.parent == weights_dir
    assert found.name == name
    assert name in {path.name for path in weights_dir.iterdir()}
