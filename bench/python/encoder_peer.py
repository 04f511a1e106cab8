"""ONNX Runtime over the same graph and the same token ids, as the benchmarks' peer.

Reads one JSON command a line from stdin, answers one JSON line each: {"ok": …} or {"error": …}.
What is timed is timed here, around the runtime's calls alone: tokenising, pooling and the pipe cost it nothing.

    {"do": "open", "graph": FILE, "ids": FILE, "threads": 1 or 2, "workers": 1 or 2}
    {"do": "encode", "batch": 8, "every": 1}: every n-th text
    {"do": "vector", "text": 0}: the mean of a text's tokens, to see that it is the same network

Texts are sorted by length over all of them, so that batches have hardly any padding: better than a server
could do, which has to take texts as they come.
"""

import json
import os
import queue
import sys
import threading
import time

import numpy as np


class Peer:
    def __init__(self, graph, ids, threads, workers):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        # With one thread each, workers share a session: it may be run by several threads at a time.
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.workers = workers
        with open(ids) as file:
            self.texts = json.load(file)
        self.by_length = sorted(self.texts, key=len)

    def encode(self, batch, every):
        """Every n-th text, in batches that go to whichever worker is free."""
        batches, texts = queue.SimpleQueue(), self.by_length[::every]
        for first in range(0, len(texts), batch):
            batches.put(self._inputs(texts[first : first + batch]))
        workers = [threading.Thread(target=self._work, args=(batches,)) for _ in range(self.workers)]
        started, processor = time.perf_counter(), time.process_time()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        return {"texts": len(texts), "seconds": seconds, "cpu_seconds": processor}

    def vector(self, text):
        (hidden,) = self.session.run(["last_hidden_state"], self._inputs([self.texts[text]]))
        return hidden[0].mean(axis=0).tolist()

    def _inputs(self, texts):
        shape = (len(texts), max(map(len, texts)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        wanted = {value.name for value in self.session.get_inputs()}
        return {name: value for name, value in inputs.items() if name in wanted}

    def _work(self, batches):
        while True:
            try:
                inputs = batches.get_nowait()
            except queue.Empty:
                return
            self.session.run(["last_hidden_state"], inputs)


def main():
    # A library that prints does not answer with it.
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
