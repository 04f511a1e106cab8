"""DuckDB in-process, as the benchmarks' peer.

Reads one JSON command a line from stdin, answers one JSON line each: {"ok": …} or {"error": …}.
What is timed is timed here, around DuckDB's calls alone, so that the pipe costs the peer nothing.
"""

import json
import os
import sys
import threading
import time
from decimal import Decimal

import duckdb


def canonical(value):
    """A value as the platform's JSON has it, so far as comparing needs: exact numbers as text."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


class Peer:
    def __init__(self, threads):
        self.connection = duckdb.connect(config={"threads": threads})
        self.connection.execute("SET enable_progress_bar = false")

    def execute(self, sql):
        """Runs statements whose results nobody reads."""
        started = time.perf_counter()
        self.connection.execute(sql)
        return {"seconds": time.perf_counter() - started}

    def query(self, sql):
        """Every row, as Python objects."""
        started = time.perf_counter()
        rows = self.connection.execute(sql).fetchall()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "rows": [[canonical(value) for value in row] for row in rows]}

    def timed(self, sql):
        """As `query`, without sending the rows."""
        started = time.perf_counter()
        rows = self.connection.execute(sql).fetchall()
        return {"seconds": time.perf_counter() - started, "rows": len(rows)}

    def arrow(self, sql):
        """Drains the result as Arrow record batches."""
        started = time.perf_counter()
        rows = sum(batch.num_rows for batch in self.connection.execute(sql).to_arrow_reader(100_000))
        return {"seconds": time.perf_counter() - started, "rows": rows}

    def callers(self, sql, callers, warm_up, seconds):
        """A closed loop of as many callers as the servers get connections, a cursor each."""
        latencies = [[] for _ in range(callers)]
        errors = []
        begin = time.perf_counter() + warm_up
        end = begin + seconds

        def call(mine):
            cursor = self.connection.cursor()
            try:
                while (started := time.perf_counter()) < end:
                    cursor.execute(sql).fetchall()
                    done = time.perf_counter()
                    if begin <= started and done <= end:
                        mine.append(done - started)
            except duckdb.Error as error:
                errors.append(str(error))

        threads = [threading.Thread(target=call, args=(mine,)) for mine in latencies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise RuntimeError(errors[0])
        return {"seconds": seconds, "latencies": [latency for mine in latencies for latency in mine]}


def main():
    # DuckDB draws its progress bar on the standard output: answers keep that for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = None
    for line in sys.stdin:
        command = json.loads(line)
        operation = command.pop("do")
        try:
            if operation == "open":
                peer = Peer(**command)
                answer = {"version": duckdb.__version__}
            else:
                answer = getattr(peer, operation)(**command)
            print(json.dumps({"ok": answer}), file=answers, flush=True)
        except Exception as error:  # Whatever went wrong is the harness's to print.
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)


main()
