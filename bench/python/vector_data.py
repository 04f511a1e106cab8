"""Clustered vectors, queries and their exact neighbours, the same on every machine.

    vector_data.py FOLDER --items 100000 --dimension 384 [--queries 1000]

Writes base.f32 and query.f32 (row-major little-endian f32 of unit length) and truth.i32 (for each
query the rows of its 10 nearest by dot product, the nearest first). What is drawn: 1,000 Gaussian
centres in 48 dimensions, scaled by 0.8, each point one of them plus unit noise, carried into the
wanted dimension by one random matrix, plus 0.3 of noise there. Real embeddings are like that: of a
lower dimension inside than outside, and in clusters that overlap.
"""

import argparse
import pathlib

import numpy as np

NEIGHBOURS = 10
SEED = 7
INNER_DIMENSION = 48
CENTRES = 1000
CENTRE_SPREAD = 0.8
OUTER_NOISE = 0.3
# Bounds the memory of what is computed at once: 50,000 × 384 f64 of noise are 150 MB.
ROWS_AT_ONCE = 100
NORMALISED_AT_ONCE = 50_000


class Source:
    """Draws points of the same clusters; the order of the draws is part of the recipe."""

    def __init__(self, dimension):
        self.random = np.random.default_rng(SEED)
        self.dimension = dimension
        self.lift = self.normal(INNER_DIMENSION, dimension)
        self.centres = self.normal(CENTRES, INNER_DIMENSION)

    def normal(self, rows, columns):
        return self.random.standard_normal((rows, columns)).astype(np.float32)

    def draw(self, count):
        homes = self.centres[self.random.integers(0, CENTRES, count)]
        inner = homes * CENTRE_SPREAD + self.normal(count, INNER_DIMENSION)
        points = inner @ self.lift
        for first in range(0, count, NORMALISED_AT_ONCE):
            part = points[first : first + NORMALISED_AT_ONCE]
            part += OUTER_NOISE * self.normal(len(part), self.dimension)
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        return points


def nearest(base, query):
    """The rows of `base` nearest to each query, the nearest first."""
    found = []
    for first in range(0, len(query), ROWS_AT_ONCE):
        far = -(query[first : first + ROWS_AT_ONCE] @ base.T)
        near = np.argpartition(far, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        order = np.argsort(np.take_along_axis(far, near, axis=1), axis=1)
        found.append(np.take_along_axis(near, order, axis=1))
    return np.concatenate(found).astype(np.int32)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    source = Source(args.dimension)
    base, query = source.draw(args.items), source.draw(args.queries)
    arrays = {"base.f32": base, "query.f32": query, "truth.i32": nearest(base, query)}
    for name, array in arrays.items():
        array.tofile(args.folder / name)


main()
