//! How near vectors are to those of float64: for the tests, the example and the benchmarks.

use encoder::{Model, Overlong, Worker};

use super::reference::{Reference, cosine, pool};

/// Texts that are encoded together.
const BATCH: usize = 32;

/// The least cosine between the model's vectors and those of float64, worked out on so many threads.
pub(crate) fn least_cosine(
    model: &Model,
    reference: &Reference,
    pooling: &str,
    texts: &[String],
    threads: usize,
) -> f64 {
    let hidden = reference.size("hidden_size");
    let part = |part: usize| {
        let (mut worker, mut least) = (Worker::new(1).unwrap(), 1.0_f64);
        for batch in texts.chunks(BATCH).skip(part).step_by(threads) {
            let tokens: Vec<_> = batch.iter().map(|text| model.tokenize(text, Overlong::Cut).unwrap()).collect();
            let vectors = model.encode(&tokens.iter().collect::<Vec<_>>(), &mut worker).unwrap();
            for (vector, tokens) in vectors.iter().zip(&tokens) {
                let exact = pool(pooling, &reference.tokens(&tokens.ids), hidden);
                // NaN is as far as can be, and min would pass over it.
                let cosine = cosine(vector, &exact);
                least = if cosine.is_nan() { f64::NEG_INFINITY } else { least.min(cosine) };
            }
        }
        least
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|n| scope.spawn(move || part(n))).collect();
        parts.into_iter().map(|part| part.join().unwrap()).fold(1.0, f64::min)
    })
}
