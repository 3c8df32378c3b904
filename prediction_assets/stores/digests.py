"""Digests that name parts and snapshots by their content."""

from __future__ import annotations

import hashlib

import pyarrow as pa


def part_content_hash(rows: pa.Table) -> str:
    """Return SHA-256 over the rows' sorted ``content_hash`` values, as the MERGE's SQL computes it."""
    return hashlib.sha256("".join(sorted(rows["content_hash"].to_pylist())).encode()).hexdigest()


def content_id(*tables: pa.Table) -> str:
    """Return the first 20 hex digits of SHA-256 over the tables' Arrow stream."""
    digest = hashlib.sha256()
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        digest.update(sink.getvalue())
    return digest.hexdigest()[:20]
