"""GET / and its files: from this server alone, under a strict policy, cached for good, and light."""

import re

import httpx

from service.routes.page import FOLDER, assets
from tests.service.conftest import Serve

LIMIT_BYTES = 200_000


def addresses(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="(page/[^"]+)"', html)


def test_the_page_and_every_file_it_names_weigh_under_200_kb(server: httpx.Client) -> None:
    page = server.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    total, named = len(page.content), sorted(set(addresses(page.text)))
    for address in named:
        asset = server.get(f"/{address}")
        assert asset.status_code == 200, address
        assert asset.headers["content-type"].startswith("text/css" if address.endswith(".css") else "text/javascript")
        total += len(asset.content)
    assert len(named) == len(assets().files) > 30
    assert total < LIMIT_BYTES, total


def test_every_import_of_a_module_is_a_file_of_the_page() -> None:
    for name, content in assets().files.items():
        for imported in re.findall(r'from "(.+?)";', content.decode()):
            assert imported.startswith("."), (name, imported)
            target = (FOLDER / name).parent.joinpath(imported).resolve().relative_to(FOLDER.resolve())
            assert target.as_posix() in assets().files, (name, imported)


def test_no_script_or_style_stands_in_the_page_and_no_other_source_is_allowed(server: httpx.Client) -> None:
    page = server.get("/")
    assert not re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page.text)
    policy = dict(part.split(maxsplit=1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.findall(r"https?://", page.text)


def test_markup_is_never_made_of_strings() -> None:
    for name, content in assets().files.items():
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", content.decode()), (
            name
        )
        hosts = set(re.findall(r"https?://[^\s\"'`]+", content.decode()))
        assert hosts <= {"http://www.w3.org/2000/svg"}, (name, hosts)  # a namespace, which nothing asks for


def test_files_are_kept_for_good_and_the_page_is_asked_for_anew(server: httpx.Client) -> None:
    page = server.get("/")
    assert page.headers["cache-control"] == "no-cache"
    address = addresses(page.text)[0]
    assert server.get(f"/{address}").headers["cache-control"] == "public, max-age=31536000, immutable"
    digest = assets().digest
    for wrong in (address.replace(digest, "0" * 12), f"page/{digest}/nobody.js", f"page/{digest}/%2e%2e/page.py"):
        assert server.get(f"/{wrong}").status_code == 404


def test_the_page_is_open_where_keys_are_set_and_its_models_are_not(serve: Serve) -> None:
    with serve(api_keys="good") as client:
        page = client.get("/")
        assert page.status_code == 200
        assert client.get(f"/{addresses(page.text)[0]}").status_code == 200
        assert client.get("/v1/models").status_code == 401


def test_a_file_of_the_page_is_one_idea_and_short() -> None:
    for name, content in assets().files.items():
        lines = content.decode().splitlines()
        assert len(lines) <= 400, name
        assert name.endswith(".css") or lines[0].startswith("/**"), name
