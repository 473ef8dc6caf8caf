"""Code bundles are unpacked where they belong, or not at all."""

from __future__ import annotations

import io
import os
import pickle
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import pytest

from flyte_lite.errors import CodeBundleError
from flyte_lite.models import CodeBundle
from flyte_lite.remote._archives import unpack

pytestmark = pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")

Member = Union[str, tarfile.TarInfo]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    return made


def symlink(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, to)


def hardlink(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, to)


@pytest.fixture(params=["filter", "no filter"], autouse=True)
def tarfile_s_own_filter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older patch releases of Python have none, so nothing may depend on it."""
    if request.param == "no filter":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    def make(*members: Member, mode: str = "w:gz", text: str = "text") -> Path:
        path = tmp_path / "bundle"
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            for each in members:
                made = member(each) if isinstance(each, str) else each
                if made.isreg():
                    made.size = len(text)
                tar.addfile(made, io.BytesIO(text.encode()) if made.isreg() else None)
        return path

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outer" / "dest"
    made.mkdir(parents=True)
    return made


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_files_folders_and_links_inside(archive: Any, folder: Path, mode: str) -> None:
    unpack(
        archive(
            member("./", tarfile.DIRTYPE),
            "./main.py",
            member("pkg", tarfile.DIRTYPE, mode=0o555),
            "pkg/deep/mod.py",
            symlink("pkg/deep/up.py", "../../main.py"),
            hardlink("same.py", "main.py"),
            mode=mode,
        ),
        folder,
    )

    assert files(folder) == ["main.py", "pkg/deep/mod.py", "pkg/deep/up.py", "same.py"]
    assert (folder / "pkg/deep/up.py").read_text() == (folder / "same.py").read_text() == "text"


def test_no_special_bits_and_nothing_that_can_t_be_removed(archive: Any, folder: Path) -> None:
    unpack(archive(member("a", mode=0o6777), member("b", mode=0o000)), folder)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes["a"] & 0o7022 == 0
    assert modes["b"] & 0o600 == 0o600


@pytest.mark.parametrize(
    "members",
    [
        ["/abs.py"],
        ["../out.py"],
        ["a/../../out.py"],
        ["a/../b.py"],
        [symlink("l", "/etc")],
        [symlink("l", "..")],
        [symlink("a/l", "../../out")],
        [symlink("a/b/up", "../.."), symlink("l", "a/b/up/../out")],
        [symlink("l", "inside"), "l/through.py"],
        [symlink("l", "inside"), "l"],
        [symlink("l", "inside"), hardlink("h", "l/x")],
        [symlink("l", "inside"), hardlink("h", "l")],
        [hardlink("h", "../out")],
        [hardlink("h", "/etc/passwd")],
        [hardlink("h", "not/there")],
        [member("fifo", tarfile.FIFOTYPE)],
        [member("null", tarfile.CHRTYPE)],
    ],
    ids=lambda members: " ".join(getattr(each, "name", each) for each in members),
)
def test_what_does_not_belong_is_refused_and_nothing_changed(archive: Any, folder: Path, members: list[Any]) -> None:
    (folder / "mine.py").write_text("mine")

    with pytest.raises(CodeBundleError, match="the code bundle"):
        unpack(archive("good.py", *members), folder)

    assert files(folder.parent) == ["dest/mine.py"]
    assert list(folder.iterdir()) == [folder / "mine.py"]


def test_backslashes_are_ways_out_too(archive: Any, folder: Path) -> None:
    with pytest.raises(CodeBundleError, match="leads out of its folder"):
        unpack(archive("..\\out.py"), folder)


@pytest.mark.parametrize("kept", [0, 0.5, -9, -1])
def test_what_is_cut_or_is_no_archive_is_refused(archive: Any, folder: Path, kept: float) -> None:
    path = archive(*(f"file{number}.py" for number in range(50)), text=os.urandom(400).hex())
    data = path.read_bytes()
    path.write_bytes(data[: int(kept)] if kept < 0 else data[: int(kept * len(data))] or b"no archive")

    with pytest.raises(CodeBundleError, match="the code bundle can't be unpacked"):
        unpack(path, folder)
    assert list(folder.iterdir()) == []


def test_it_does_not_grow_without_end(archive: Any, folder: Path) -> None:
    path = archive("a.py", "b.py", text="0" * 10_000)

    with pytest.raises(CodeBundleError, match="more than 15000 bytes"):
        unpack(path, folder, 15_000)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_in_the_way_is_told_before_anything_changes(archive: Any, folder: Path, kind: str) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    if kind == "folder":
        (folder / "b").mkdir()
        path = archive("a", "b")
    else:
        (folder / "b").symlink_to(elsewhere, target_is_directory=True)
        path = archive("a", "b/c")

    with pytest.raises(CodeBundleError, match="b is in the way"):
        unpack(path, folder)
    assert [entry.name for entry in folder.iterdir()] == ["b"]
    assert list(elsewhere.iterdir()) == []


def test_a_link_that_is_there_is_replaced_and_not_followed(archive: Any, folder: Path) -> None:
    outside = folder.parent / "outside.py"
    outside.write_text("outside")
    (folder / "a.py").symlink_to(outside)

    unpack(archive("a.py"), folder)

    assert (folder / "a.py").read_text() == "text"
    assert outside.read_text() == "outside"


def test_a_bundle_is_a_value() -> None:
    bundle = CodeBundle(computed_version="v1", tgz="s3://b/x.tar.gz", files=["a"])
    there = bundle.with_downloaded_path(Path("there"))

    assert repr(bundle).startswith("CodeBundle(computed_version='v1', destination='.', tgz='s3://b/x.tar.gz', pkl=None")
    assert (there.downloaded_path, bundle.downloaded_path) == (Path("there"), None)
    assert pickle.loads(pickle.dumps(bundle)) == bundle != there
    assert len({bundle, pickle.loads(pickle.dumps(bundle))}) == 1
    with pytest.raises(AttributeError, match="does not change"):
        bundle.tgz = "other"
    with pytest.raises(AttributeError, match="does not change"):
        del bundle.tgz
    with pytest.raises(ValueError, match="tgz= or pkl="):
        CodeBundle(computed_version="")
