"""Code bundles on disk: unpacked as a whole or not at all, and never outside of where they belong."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from flyte_lite.errors import CodeBundleError

MOST = 4 * 1024 * 1024 * 1024
"""Bytes that a bundle may unpack to."""

_GZIP = b"\x1f\x8b"
_PIECE = 64 * 1024


def unpack(archive: Path, folder: Path, most: int = MOST) -> None:
    """Unpack a tar archive, with gzip around it or without, into a folder.

    Files that are there are replaced, others stay. Nothing is touched until all of the archive has been looked at and
    unpacked aside.

    Args:
        archive: Such as a `.tar.gz`.
        folder: It must be there.
        most: Bytes that may come of it.

    Raises:
        CodeBundleError: It is no such archive, is cut short, too large, or has something in it that does not belong
            into a bundle: a device, a name or a link that leads elsewhere. Or something in the folder is in the way.
    """
    with aside(folder) as made:
        try:
            with _unpacking(archive) as file:
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    for member in _checked(tar, most):
                        _extract(tar, member, made)
                # The checksum of gzip is behind the end of the archive.
                while file.read(_PIECE) and file.tell() <= most:
                    pass
        except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk, not of the archive
            raise CodeBundleError(f"the code bundle can't be unpacked: {error}") from error
        _check_way(made, folder)
        _move(made, folder)


def _unpacking(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        packed = file.read(2) == _GZIP
    # gzip's own class has all that tarfile needs of a file.
    return cast("IO[bytes]", gzip.open(archive)) if packed else archive.open("rb")


@contextlib.contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A new folder in another one, so on the same disk; gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix=".flyte-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _checked(tar: Iterable[tarfile.TarInfo], most: int) -> Iterator[tarfile.TarInfo]:
    links: set[PurePosixPath] = set()
    size = 0
    for member in tar:
        name = _path(member.name, member)
        size += member.size
        if size > most:
            raise CodeBundleError(f"the code bundle unpacks to more than {most} bytes")
        if member.issym():
            # Back first and then down: so a link never leads through another one and out.
            target = PurePosixPath(member.linkname.replace("\\", "/"))
            back = next((place for place, part in enumerate(target.parts) if part != ".."), len(target.parts))
            if back >= len(name.parts):
                raise _leads_out(member)
            _path(str(PurePosixPath(*target.parts[back:])), member)
        elif member.islnk():
            _check_links(_path(member.linkname, member), links, member)
        elif not (member.isfile() or member.isdir()):
            raise CodeBundleError(f"the code bundle has {member.name!r}, which is neither file, folder nor link")
        _check_links(name, links, member)
        if member.issym():
            links.add(name)
        yield member


def _path(name: str, member: tarfile.TarInfo) -> PurePosixPath:
    # A backslash and a drive are a name to Linux and a way out to Windows.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (os.name == "nt" and ":" in name):
        raise _leads_out(member)
    return path


def _leads_out(member: tarfile.TarInfo) -> CodeBundleError:
    return CodeBundleError(f"the code bundle has {member.name!r}, which leads out of its folder")


def _check_links(path: PurePosixPath, links: set[PurePosixPath], member: tarfile.TarInfo) -> None:
    if any(place in links for place in (path, *path.parents)):
        raise CodeBundleError(f"the code bundle has {member.name!r} behind a link")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    # No owner, no special bits, and nothing that its owner could not read or remove again.
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        tar.extract(member, folder, **options)
    except (KeyError, tarfile.TarError) as error:  # a KeyError is a link to what is not in it
        raise CodeBundleError(f"the code bundle has {member.name!r}, which can't be unpacked: {error}") from error


def _check_way(made: Path, folder: Path) -> None:
    for entry in made.iterdir():
        target = folder / entry.name
        is_folder = entry.is_dir() and not entry.is_symlink()
        if not os.path.lexists(target):
            continue
        if is_folder != (target.is_dir() and not target.is_symlink()):
            kind = "a folder" if is_folder else "a file"
            raise CodeBundleError(f"{target} is in the way: the code bundle has {kind} of that name")
        if is_folder:
            _check_way(entry, target)


def _move(made: Path, folder: Path) -> None:
    for entry in made.iterdir():
        target = folder / entry.name
        if entry.is_dir() and not entry.is_symlink() and target.exists():
            _move(entry, target)
        else:
            entry.replace(target)
