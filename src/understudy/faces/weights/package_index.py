"""Fetch one file of a known hash from a Python package index, whatever machine this is.

The index, extra indexes and folders are those that pip or uv are set to, so that mirrors and
offline machines work as they do for packages. Nothing of a fetched file is run, and no one gets
to see it before its SHA-256 is right.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import http.client
import importlib.util
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.response import addinfourl

from understudy.runtime.files import sha256

DEFAULT_INDEX = "https://pypi.org/simple"
TIMEOUT = 30.0
"""Seconds that a server may be silent."""

ATTEMPTS = 3
_BROKEN = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)
PIECE = 1 << 18
LARGEST_PAGE = 32 << 20

Told = Callable[[int], None]
"""Told of every piece of bytes that arrived."""


@dataclass(frozen=True)
class Distribution:
    """One file of a package index: a wheel or a source archive.

    Attributes:
        project, version: as the index knows them.
        filename: the last part of its address.
        sha256: hex, of the whole file.
        size: in bytes.
    """

    project: str
    version: str
    filename: str
    sha256: str
    size: int

    @property
    def page(self) -> str:
        """Where a person can download it."""
        return f"https://pypi.org/project/{self.project}/{self.version}/#files"


class FetchFailed(Exception):
    """This way to a file did not work; the text says why. Never leaves the package."""


def _words(text: str | None) -> list[str]:
    return (text or "").split()


def _pip_files(env: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, the weaker first."""
    home = Path(env.get("HOME", "~")).expanduser()
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf"]
    files.append(Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf")
    files.append(Path(sys.prefix) / "pip.conf")
    if env.get("PIP_CONFIG_FILE"):
        files.append(Path(env["PIP_CONFIG_FILE"]))
    return files


@dataclass(frozen=True)
class IndexSettings:
    """Where to look.

    Attributes:
        links: folders, or pages that list files (pip's find-links).
        indexes: simple indexes, in order.
        certificate: file of certificates to trust, or None for the system's.
        pip: whether to ask pip itself when all else has failed.
    """

    links: tuple[str, ...]
    indexes: tuple[str, ...]
    certificate: str | None = None
    pip: bool = True

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> IndexSettings:
        """What pip's and uv's variables and pip's configuration files say."""
        config = configparser.RawConfigParser(strict=False)
        for file in _pip_files(env):
            try:
                config.read(file, encoding="utf-8")
            except (configparser.Error, UnicodeDecodeError):
                continue  # pip itself will complain about it; here it only means no wishes
        wishes = dict(config["global"]) if config.has_section("global") else {}

        def wish(name: str) -> str | None:
            variable = "PIP_" + name.upper().replace("-", "_")
            return env.get(variable) or wishes.get(name)

        main = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or wish("index-url")
        indexes = [main or DEFAULT_INDEX]
        indexes += _words(env.get("UV_INDEX")) + _words(env.get("UV_EXTRA_INDEX_URL"))
        indexes += _words(wish("extra-index-url"))
        # uv allows a name before the address.
        indexes = [re.sub(r"^[\w.-]+=", "", index) for index in indexes]
        if (wish("no-index") or "").lower() in ("1", "true", "yes", "on"):
            indexes = []
        links = _words(wish("find-links")) + (env.get("UV_FIND_LINKS") or "").split(",")
        certificate = env.get("SSL_CERT_FILE") or wish("cert")
        return cls(
            tuple(link for link in links if link), tuple(dict.fromkeys(indexes)), certificate
        )


class _Links(HTMLParser):
    """Addresses of all links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def shown(url: str) -> str:
    """The address without user name and password, for messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open(url: str, settings: IndexSettings, login: str | None) -> addinfourl:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "file"):
        raise FetchFailed(f"{shown(url)} is not an address to download from")
    request = urllib.request.Request(shown(url), headers={"Accept": "text/html, */*;q=0.1"})
    if login:
        # Unredirected: a login is for the server that the user named, no other.
        coded = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {coded}")
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=settings.certificate)
    answer: addinfourl = urllib.request.urlopen(request, timeout=TIMEOUT, context=context)
    return answer


def _candidates(page: str, settings: IndexSettings, filename: str) -> list[tuple[str, str | None]]:
    """Addresses of `filename` in a folder or on a page, each with the login to use.

    Raises FetchFailed when there are none.
    """
    parts = urlsplit(page)
    local = Path(unquote(parts.path) if parts.scheme == "file" else page)
    if (local / filename).is_file():
        return [((local / filename).resolve().as_uri(), None)]
    if local.is_dir():
        page = (local / "index.html").resolve().as_uri()
    login = f"{parts.username}:{parts.password or ''}" if parts.username else None
    try:
        with _open(page, settings, login) as answer:
            text = answer.read(LARGEST_PAGE).decode("utf-8", "replace")
            base = answer.url or shown(page)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchFailed(f"{shown(page)}: {error}") from error
    links = _Links()
    links.feed(text)
    urls = [urljoin(base, link.partition("#")[0]) for link in links.found]
    urls = [url for url in urls if unquote(urlsplit(url).path).rpartition("/")[2] == filename]
    if not urls:
        raise FetchFailed(f"{shown(page)} does not list it")
    server = urlsplit(shown(page)).netloc
    return [(url, login if urlsplit(url).netloc == server else None) for url in urls]


def download(
    url: str,
    path: Path,
    limit: int,
    settings: IndexSettings,
    told: Told,
    login: str | None = None,
) -> str:
    """Download `url` to `path`, at most `limit` bytes.

    Tries again when the connection breaks off.

    Returns:
        Hex SHA-256 of what was written.

    Raises:
        FetchFailed: no such address, no connection, or more than `limit` bytes.
    """
    for attempt in range(1, ATTEMPTS + 1):
        digest, size = hashlib.sha256(), 0
        try:
            with _open(url, settings, login) as answer, open(path, "wb") as file:
                while piece := answer.read(PIECE):
                    size += len(piece)
                    if size > limit:
                        raise FetchFailed(f"{shown(url)} is larger than it should be")
                    digest.update(piece)
                    file.write(piece)
                    told(len(piece))
                announced = answer.headers.get("Content-Length")
                if announced is not None and int(announced) != size:
                    raise http.client.IncompleteRead(b"", int(announced) - size)
            return digest.hexdigest()
        except urllib.error.HTTPError as error:
            raise FetchFailed(f"{shown(url)}: {error}") from error
        except _BROKEN as error:
            told(-size)
            if attempt == ATTEMPTS or isinstance(error, urllib.error.URLError):
                raise FetchFailed(f"{shown(url)}: {error}") from error
    raise FetchFailed(f"{shown(url)} was not tried")


def wheel_options(distribution: Distribution) -> list[str]:
    """What makes pip take the file for whatever machine it was built."""
    if not distribution.filename.endswith(".whl"):
        return ["--no-binary", ":all:"]
    *_, python, abi, platforms = distribution.filename.removesuffix(".whl").split("-")
    python = python.rpartition(".")[2]  # py2.py3 is a wheel for both
    version = re.sub(r"^(cp|py)(\d)", r"\2.", python).rstrip(".")
    options = ["--only-binary", ":all:", "--python-version", version, "--abi", abi]
    options += ["--implementation", python[:2]]
    for platform in platforms.split("."):
        options += ["--platform", platform]
    return options


def _through_pip(distribution: Distribution, path: Path) -> None:
    """Have pip fetch it, which knows logins that we do not. Raises FetchFailed."""
    if importlib.util.find_spec("pip") is None:
        raise FetchFailed("pip is not installed here")
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        wanted = folder / "requirements.txt"
        requirement = f"{distribution.project}=={distribution.version}"
        wanted.write_text(f"{requirement} --hash=sha256:{distribution.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        # pip runs a source archive to learn its name, but only once its hash is right.
        command += ["--require-hashes", "--requirement", str(wanted), "--dest", str(folder)]
        command += ["--retries", "1", "--no-input", "--disable-pip-version-check"]
        command += wheel_options(distribution)
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=1800, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FetchFailed(f"pip: {error}") from error
        file = folder / distribution.filename
        if run.returncode or not file.is_file():
            lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
            raise FetchFailed(f"pip: {lines[-1] if lines else 'no such file'}")
        if sha256(file) != distribution.sha256:
            raise FetchFailed("pip: the file has the wrong SHA-256")
        os.replace(file, path)


def fetch(distribution: Distribution, path: Path, settings: IndexSettings, told: Told) -> None:
    """Write the file to `path`, its SHA-256 checked.

    Folders and pages first, then the indexes, then pip itself.

    Args:
        told: called with the bytes that arrive, and with a negative number when some were in vain.

    Raises:
        FetchFailed: says what was tried and why it did not work.
    """
    name = re.sub(r"[-_.]+", "-", distribution.project).lower()
    pages = [*settings.links, *(f"{index.rstrip('/')}/{name}/" for index in settings.indexes)]
    reasons = []
    for page in pages:
        try:
            for url, login in _candidates(page, settings, distribution.filename):
                digest = download(url, path, distribution.size, settings, told, login)
                if digest == distribution.sha256:
                    return
                told(-path.stat().st_size)
                reasons.append(f"{shown(url)} has the wrong SHA-256")
        except FetchFailed as error:
            reasons.append(str(error))
    if not settings.pip:
        raise FetchFailed("; ".join(reasons) or "no package index is known")
    try:
        _through_pip(distribution, path)
    except FetchFailed as error:
        raise FetchFailed("; ".join([*reasons, str(error)])) from error
    told(distribution.size)
