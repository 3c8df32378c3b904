"""Lists outside the Firestore document that names them: a document holds 1 MiB, and a slate may have more players.

A list's chunks are named by a digest of its items, so what has a name never changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from google.cloud import firestore

from prediction_assets.errors import StateUnreadable
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.remembered import Remembered

# A document holds 1 MiB and a request 10 MiB. Firestore's encoding is smaller than this JSON.
# https://cloud.google.com/firestore/quotas#limits
_CHUNK_BYTES = 256 * 1024

_lists: Remembered[list[dict[str, Any]]] = Remembered(32)


class KeptList(TypedDict):
    """A list in documents ``{name}-0``, ``{name}-1``, ..."""

    name: str
    chunks: int
    length: int


def keep_list(
    writes: firestore.WriteBatch,
    collection: firestore.CollectionReference,
    items: Sequence[Mapping[str, Any]],
) -> KeptList:
    """Add a list's chunks to a commit; the same items always make the same documents."""
    texts = [json.dumps(item, sort_keys=True) for item in items]
    chunks: list[list[Mapping[str, Any]]] = []
    room = 0
    for item, text in zip(items, texts, strict=True):
        if not chunks or len(text) > room:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append(item)
        room -= len(text)
    name = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]
    kept: KeptList = {"name": name, "chunks": len(chunks), "length": len(items)}
    for document, chunk in zip(_chunks_of(collection, kept), chunks, strict=True):
        writes.set(document, {"items": chunk})
    return kept


def forget_list(
    writes: firestore.WriteBatch, collection: firestore.CollectionReference, earlier: KeptList, now: KeptList
) -> None:
    """Add the deletion of a list's chunks to a commit that replaces it, unless it stays the same."""
    if earlier["name"] != now["name"]:
        for document in _chunks_of(collection, earlier):
            writes.delete(document)


def read_list(
    calls: FirestoreCalls, collection: firestore.CollectionReference, kept: KeptList, as_of: datetime
) -> list[dict[str, Any]]:
    """Return a list's items, which this process reads once."""

    def read() -> list[dict[str, Any]]:
        wanted = _chunks_of(collection, kept)
        found = {
            chunk.id: chunk.get("items")
            for chunk in calls.client.get_all(wanted, read_time=as_of, **calls.arguments)
            if chunk.exists
        }
        items = [item for chunk in wanted for item in found.get(chunk.id, ())]
        if len(items) != kept["length"]:
            raise StateUnreadable(
                f"Firestore {collection.parent.path}/{collection.id}: {len(items)} of the {kept['length']} "
                f"items of list {kept['name']} are there; restore them from a backup, or reopen the slate"
            )
        return items

    where = (*calls.database, collection.parent.path, collection.id)
    return list(_lists.get(where, kept["name"], read))


def _chunks_of(
    collection: firestore.CollectionReference, kept: KeptList
) -> list[firestore.DocumentReference]:
    return [collection.document(f"{kept['name']}-{number}") for number in range(kept["chunks"])]
