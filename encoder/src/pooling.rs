//! From the vectors of a text's tokens to one vector: `1_Pooling/config.json`.

use crate::error::OpenError;
use crate::folder::Document;

/// How the tokens' vectors become one. Special tokens count as any other, as in sentence-transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token's.
    Cls,
    /// The greatest of each component.
    Max,
    /// The mean.
    Mean,
    /// The sum over the root of the count.
    MeanSqrtLen,
    /// The mean, the n-th token n times as heavy as the first.
    WeightedMean,
    /// The last token's.
    Last,
}

/// In the order in which sentence-transformers puts them side by side where several are on.
const FIELDS: [(&str, &str, Pooling); 6] = [
    ("pooling_mode_cls_token", "cls", Pooling::Cls),
    ("pooling_mode_max_tokens", "max", Pooling::Max),
    ("pooling_mode_mean_tokens", "mean", Pooling::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrtLen),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Pooling::WeightedMean),
    ("pooling_mode_lasttoken", "lasttoken", Pooling::Last),
];

impl Pooling {
    /// The modes that are on; their vectors are put side by side.
    pub(crate) fn read(config: &Document) -> Result<Vec<Self>, OpenError> {
        if let Some(name) = config.get::<String>("pooling_mode")? {
            let known = FIELDS.iter().find(|(_, short, _)| *short == name);
            return match known {
                Some((_, _, pooling)) => Ok(vec![*pooling]),
                None => Err(config.wrong("pooling_mode", format!("{name:?} is not supported"))),
            };
        }
        let mut modes = Vec::new();
        for (field, _, pooling) in FIELDS {
            if config.get(field)?.unwrap_or(false) {
                modes.push(pooling);
            }
        }
        if modes.is_empty() {
            return Err(config.wrong("pooling_mode_mean_tokens", "no pooling mode is on"));
        }
        Ok(modes)
    }

    /// Adds to `vector` what becomes of `tokens`, one row of `width` after another, at least one.
    pub(crate) fn pool(self, tokens: &[f32], width: usize, vector: &mut Vec<f32>) {
        let rows = tokens.chunks_exact(width);
        let count = rows.len();
        let start = vector.len();
        match self {
            Self::Cls => vector.extend_from_slice(&tokens[..width]),
            Self::Last => vector.extend_from_slice(&tokens[(count - 1) * width..]),
            Self::Max => {
                vector.extend_from_slice(&tokens[..width]);
                fold(&mut vector[start..], rows, |most, x, _| most.max(x));
            }
            Self::Mean | Self::MeanSqrtLen => {
                vector.resize(start + width, 0.0);
                fold(&mut vector[start..], rows, |sum, x, _| sum + x);
                let share = if self == Self::Mean { count as f32 } else { (count as f32).sqrt() };
                vector[start..].iter_mut().for_each(|x| *x /= share);
            }
            Self::WeightedMean => {
                vector.resize(start + width, 0.0);
                fold(&mut vector[start..], rows, |sum, x, weight| sum + x * weight);
                let weights = (count * (count + 1)) as f32 / 2.0;
                vector[start..].iter_mut().for_each(|x| *x /= weights);
            }
        }
    }
}

fn fold<'a>(to: &mut [f32], rows: impl Iterator<Item = &'a [f32]>, step: impl Fn(f32, f32, f32) -> f32) {
    for (number, row) in rows.enumerate() {
        let weight = (number + 1) as f32;
        for (y, x) in to.iter_mut().zip(row) {
            *y = step(*y, *x, weight);
        }
    }
}

/// To length 1; what has no length stays as it is.
pub(crate) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12);
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
}
