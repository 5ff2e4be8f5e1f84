"""``GET /``: the inspector page of `service/page/`, plain ES modules and a style sheet, from this server alone.

The address of every asset holds a digest of all of them: browsers keep an asset for good and never mix two versions.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).parent.parent / "page"
_SUFFIXES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
# blob: is the page's own picture of a view, on its way to a PNG; no script, style or font comes from anywhere else
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@dataclass(frozen=True)
class Assets:
    """The page's files by name, and one digest of all of them."""

    files: dict[str, bytes]
    digest: str

    @property
    def index(self) -> bytes:
        """The page; it names its modules, so that a browser asks for all of them at once."""
        base = f"page/{self.digest}"
        modules = sorted(name for name in self.files if name.endswith(".js"))
        preloads = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in modules)
        template = (FOLDER / "index.html").read_text("utf-8")
        return template.replace("{assets}", base).replace("{preloads}", preloads).encode()


@cache
def assets() -> Assets:
    names = sorted(p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.suffix in _SUFFIXES)
    files = {name: (FOLDER / name).read_bytes() for name in names}
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + content for name, content in files.items()))
    return Assets(files, digest.hexdigest()[:12])


@router.get("/")
async def index() -> Response:
    headers = {**_HEADERS, "cache-control": "no-cache"}
    return Response(assets().index, headers=headers, media_type="text/html; charset=utf-8")


@router.get("/page/{digest}/{name:path}")
async def asset(digest: str, name: str) -> Response:
    found = assets()
    if digest != found.digest or name not in found.files:
        raise HTTPException(404, "no such file of this version of the page: load the page again")
    headers = {**_HEADERS, "cache-control": "public, max-age=31536000, immutable"}
    return Response(found.files[name], headers=headers, media_type=_SUFFIXES[Path(name).suffix])
