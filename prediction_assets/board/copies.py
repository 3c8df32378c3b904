"""A board's copy in a bucket or another shared folder, written by fsspec (https://filesystem-spec.readthedocs.io)."""

from __future__ import annotations

from prediction_assets.errors import NotCopied


def copy_board(folder: str, slate: str, page: bytes) -> None:
    """Write a page to ``<folder>/<slate>.html``; a reader sees the earlier one or all of it.

    Args:
        folder: as the setting ``boards_copy`` has it: ``gs://bucket/boards``.

    Raises:
        NotCopied: it wasn't written.
    """
    import fsspec  # a tenth of a second, and most installations have no copy

    try:
        filesystem, path = fsspec.core.url_to_fs(folder)
        if "file" in filesystem.protocol:  # a bucket has no folders, and would itself be created
            filesystem.makedirs(path, exist_ok=True)
        with filesystem.transaction, filesystem.open(f"{path}/{slate}.html", "wb") as file:
            file.write(page)
    except Exception as error:
        raise NotCopied(
            f"slate {slate}: its board isn't copied to {folder}: {type(error).__name__}: {error}; check "
            "PREDICTION_ASSETS_BOARDS_COPY, and materialize slate_board again"
        ) from error
