"""Vector engines in-process, as the benchmarks' peers.

Reads one JSON command a line from stdin, answers one JSON line each: {"ok": …} or {"error": …}.
One engine to a process, so that none has the other's memory or threads beside it. What is timed is
timed here, around the engine's calls alone: the pipe and the reading of the data cost it nothing.
"""

import json
import os
import shutil
import sys
import tempfile
import time

import numpy as np

NEIGHBOURS = 10
BATCH = 1000


class Hnswlib:
    """hnswlib 0.8.0, compiled for this processor."""

    def __init__(self, base, m, ef_construction, threads, folder):
        import hnswlib

        self.base, self.threads = base, threads
        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base), ef_construction=ef_construction, M=m)

    def build(self):
        self.index.add_items(self.base, num_threads=self.threads)

    def queries(self, query, setting, ef):
        self.index.set_ef(ef)
        return list(query)

    def search(self, query):
        return self.index.knn_query(query, NEIGHBOURS, num_threads=1)[0][0]


class Qdrant:
    """Qdrant's engine: one segment, int8 by quantile 0.99 kept in memory, rescored with f32."""

    def __init__(self, base, m, ef_construction, threads, folder):
        import qdrant_edge as edge

        self.edge, self.base = edge, base
        self.folder = tempfile.mkdtemp(prefix="qdrant-", dir=folder)
        quantised = edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99, always_ram=True)
        vectors = edge.EdgeVectorParams(
            size=base.shape[1], distance=edge.Distance.Dot, quantization_config=quantised
        )
        graph = edge.HnswIndexConfig(
            m=m, ef_construct=ef_construction, full_scan_threshold=1000, max_indexing_threads=threads
        )
        one_segment = edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1000)
        config = edge.EdgeConfig(vectors=vectors, hnsw_config=graph, optimizers=one_segment)
        self.shard = edge.EdgeShard.create(os.path.join(self.folder, "shard"), config)

    def build(self):
        for first in range(0, len(self.base), BATCH):
            part = self.base[first : first + BATCH].tolist()
            points = [self.edge.Point(id=first + i, vector=row, payload={}) for i, row in enumerate(part)]
            self.shard.update(self.edge.UpdateOperation.upsert_points(points))
        self.shard.optimize()

    def queries(self, query, setting, ef):
        """Made before the clock starts; `setting` is the oversampling of what f32 rescores."""
        quantised = self.edge.QuantizationSearchParams(ignore=False, rescore=True, oversampling=setting)
        params = self.edge.SearchParams(hnsw_ef=ef, quantization=quantised)
        nearest = self.edge.Query.Nearest
        return [
            self.edge.QueryRequest(limit=NEIGHBOURS, query=nearest(row), params=params) for row in query.tolist()
        ]

    def search(self, query):
        return [point.id for point in self.shard.query(query)]

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


ENGINES = {"hnswlib": Hnswlib, "qdrant": Qdrant}


class Peer:
    def __init__(self, engine, data, dimension, m, ef_construction, threads, folder):
        read = lambda name: np.fromfile(os.path.join(data, name), dtype="<f4").reshape(-1, dimension)
        self.base, self.query = read("base.f32"), read("query.f32")
        self.truth = np.fromfile(os.path.join(data, "truth.i32"), dtype="<i4").reshape(-1, NEIGHBOURS)
        self.make = lambda: ENGINES[engine](self.base, m, ef_construction, threads, folder)
        self.engine = None

    def build(self):
        """Builds the index anew."""
        self.close()
        engine = self.make()
        started = time.perf_counter()
        engine.build()
        seconds = time.perf_counter() - started
        self.engine = engine
        return {"seconds": seconds}

    def search(self, ef, setting=None):
        """All queries, one after the other, on this thread."""
        queries = self.engine.queries(self.query, setting, ef)
        search = self.engine.search
        started = time.perf_counter()
        found = [search(query) for query in queries]
        seconds = time.perf_counter() - started
        hits = sum(len(set(mine) & set(true)) for mine, true in zip(found, self.truth.tolist()))
        return {"queries": len(queries), "recall": hits / self.truth.size, "seconds": seconds}

    def close(self):
        """Gives back what the index holds."""
        if hasattr(self.engine, "close"):
            self.engine.close()
        self.engine = None
        return {}


def main():
    # An engine that prints does not answer with it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = None
    for line in sys.stdin:
        command = json.loads(line)
        operation = command.pop("do")
        try:
            if operation == "open":
                peer = Peer(**command)
                answer = {}
            else:
                answer = getattr(peer, operation)(**command)
            print(json.dumps({"ok": answer}), file=answers, flush=True)
        except Exception as error:  # Whatever went wrong is the harness's to print.
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)


main()
