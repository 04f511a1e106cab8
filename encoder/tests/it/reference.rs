//! BERT in float64, from `config.json` and `model.safetensors` alone: slow, plain, and after the paper
//! (arXiv 1810.04805), so that the fast one has something to be measured by. Nothing of it is shared with the crate.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

pub(crate) struct Reference {
    pub(crate) config: Value,
    pub(crate) tensors: HashMap<String, (Vec<usize>, Vec<f64>)>,
    packed: HashMap<String, Vec<f64>>,
}

/// Outputs that are worked on together.
const LANES: usize = 8;

impl Reference {
    pub(crate) fn open(folder: &Path) -> Self {
        let config = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
        let bytes = fs::read(folder.join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = HashMap::new();
        let mut packed = HashMap::new();
        for (name, view) in file.tensors().into_iter().filter(|(name, _)| !name.ends_with("position_ids")) {
            let values = view.data().as_chunks().0.iter().map(|word| f64::from(f32::from_le_bytes(*word)));
            let (shape, values): (_, Vec<f64>) = (view.shape().to_vec(), values.collect());
            if name.contains("layer.") && shape.len() == 2 {
                packed.insert(name.clone(), pack(&values, shape[1]));
            }
            tensors.insert(name, (shape, values));
        }
        Self { config, tensors, packed }
    }

    pub(crate) fn size(&self, field: &str) -> usize {
        self.config[field].as_u64().unwrap() as usize
    }

    fn tensor(&self, name: &str) -> &[f64] {
        &self.tensors[name].1
    }

    /// The last layer's vectors of a text's tokens, one after another.
    pub(crate) fn tokens(&self, ids: &[u32]) -> Vec<f64> {
        let hidden = self.size("hidden_size");
        let mut x = Vec::with_capacity(ids.len() * hidden);
        for (position, id) in ids.iter().enumerate() {
            let first = if self.config["model_type"] == "bert" { 0 } else { self.size("pad_token_id") + 1 };
            let row = |name: &str, row: usize| &self.tensor(name)[row * hidden..(row + 1) * hidden];
            let word = row("embeddings.word_embeddings.weight", *id as usize);
            let position = row("embeddings.position_embeddings.weight", position + first);
            let kind = row("embeddings.token_type_embeddings.weight", 0);
            x.extend((0..hidden).map(|i| word[i] + position[i] + kind[i]));
        }
        self.normalise(&mut x, "embeddings.LayerNorm");
        for layer in 0..self.size("num_hidden_layers") {
            self.layer(&mut x, &format!("encoder.layer.{layer}"));
        }
        x
    }

    fn layer(&self, x: &mut [f64], name: &str) {
        let hidden = self.size("hidden_size");
        let heads = self.size("num_attention_heads");
        let (count, width) = (x.len() / hidden, hidden / heads);
        let [queries, keys, values] =
            ["query", "key", "value"].map(|part| self.linear(x, &format!("{name}.attention.self.{part}")));
        let mut context = vec![0.0; x.len()];
        for head in 0..heads {
            let at = |token: usize| token * hidden + head * width..token * hidden + (head + 1) * width;
            for token in 0..count {
                let score = |other| -> f64 {
                    queries[at(token)].iter().zip(&keys[at(other)]).map(|(q, k)| q * k).sum::<f64>()
                        / (width as f64).sqrt()
                };
                let scores: Vec<f64> = (0..count).map(score).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let whole: f64 = parts.iter().sum();
                for (other, part) in parts.iter().enumerate() {
                    for (to, value) in context[at(token)].iter_mut().zip(&values[at(other)]) {
                        *to += part / whole * value;
                    }
                }
            }
        }
        add(x, &self.linear(&context, &format!("{name}.attention.output.dense")));
        self.normalise(x, &format!("{name}.attention.output.LayerNorm"));
        let mut wide = self.linear(x, &format!("{name}.intermediate.dense"));
        let activation = self.config["hidden_act"].as_str().unwrap();
        wide.iter_mut().for_each(|x| *x = activate(activation, *x));
        add(x, &self.linear(&wide, &format!("{name}.output.dense")));
        self.normalise(x, &format!("{name}.output.LayerNorm"));
    }

    fn linear(&self, x: &[f64], name: &str) -> Vec<f64> {
        let name_of_matrix = format!("{name}.weight");
        let ([outputs, inputs], bias) =
            (self.tensors[&name_of_matrix].0[..].try_into().unwrap(), self.tensor(&format!("{name}.bias")));
        let matrix = &self.packed[&name_of_matrix];
        let rows: Vec<&[f64]> = x.chunks(inputs).collect();
        let mut y = vec![0.0; rows.len() * outputs];
        for (chunk, weights) in matrix.chunks(inputs * LANES).enumerate() {
            for (block, rows) in rows.chunks(4).enumerate() {
                let mut sums = [[0.0; LANES]; 4];
                for (input, weights) in weights.as_chunks::<LANES>().0.iter().enumerate() {
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let x = row[input];
                        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
                    }
                }
                for (row, sums) in (block * 4..).zip(&sums[..rows.len()]) {
                    for (output, sum) in (chunk * LANES..outputs).zip(sums) {
                        y[row * outputs + output] = sum + bias[output];
                    }
                }
            }
        }
        y
    }

    fn normalise(&self, x: &mut [f64], name: &str) {
        let epsilon = self.config["layer_norm_eps"].as_f64().unwrap();
        let (scale, shift) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        for row in x.chunks_mut(scale.len()) {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            for (i, x) in row.iter_mut().enumerate() {
                *x = (*x - mean) / (variance + epsilon).sqrt() * scale[i] + shift[i];
            }
        }
    }
}

/// From rows of inputs to pieces of `LANES` outputs, each by input; the last one filled up with zeros.
fn pack(matrix: &[f64], inputs: usize) -> Vec<f64> {
    let rows: Vec<&[f64]> = matrix.chunks(inputs).collect();
    let mut packed = Vec::with_capacity(matrix.len());
    for rows in rows.chunks(LANES) {
        for input in 0..inputs {
            packed.extend((0..LANES).map(|lane| rows.get(lane).map_or(0.0, |row| row[input])));
        }
    }
    packed
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn activate(name: &str, x: f64) -> f64 {
    match name {
        "gelu" => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        "gelu_new" => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
        "relu" => x.max(0.0),
        other => panic!("no activation {other}"),
    }
}

/// Abramowitz and Stegun 7.1.5 (series) near zero, 7.1.14 (continued fraction) far from it: to 1e-14.
fn erf(x: f64) -> f64 {
    let z = x.abs();
    let y = if z < 2.5 {
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..60).rev().fold(0.0, |below, n| f64::from(n) / 2.0 / (z + below));
        1.0 - (-z * z).exp() / (z + fraction) / std::f64::consts::PI.sqrt()
    };
    y.copysign(x)
}

/// Of what config calls pooling, in float64.
pub(crate) fn pool(name: &str, tokens: &[f64], hidden: usize) -> Vec<f64> {
    let rows: Vec<&[f64]> = tokens.chunks(hidden).collect();
    let sum = |weight: &dyn Fn(usize) -> f64| {
        (0..hidden).map(|i| rows.iter().enumerate().map(|(n, row)| row[i] * weight(n)).sum()).collect()
    };
    let count = rows.len() as f64;
    match name {
        "cls" => rows[0].to_vec(),
        "last" => rows[rows.len() - 1].to_vec(),
        "mean" => sum(&|_| 1.0 / count),
        "mean_sqrt_len" => sum(&|_| 1.0 / count.sqrt()),
        "weightedmean" => sum(&|n| (n + 1) as f64 / (count * (count + 1.0) / 2.0)),
        "max" => (0..hidden).map(|i| rows.iter().map(|row| row[i]).fold(f64::NEG_INFINITY, f64::max)).collect(),
        other => panic!("no pooling {other}"),
    }
}

pub(crate) fn cosine(x: &[f32], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    let (mut dot, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().map(|x| f64::from(*x)).zip(y) {
        dot += x * y;
        xx += x * x;
        yy += y * y;
    }
    dot / (xx * yy).sqrt()
}
