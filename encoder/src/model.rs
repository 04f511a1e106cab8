//! A sentence-transformers folder, opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::architecture::{self, Architecture};
use crate::bert::{Bert, Scratch};
use crate::error::{EncodeError, OpenError};
use crate::folder::{self, Document};
use crate::graph::Graph;
use crate::pooling::{self, Pooling};
use crate::recipe::Recipe;
use crate::tokens::{Overlong, Preparation, Tokens, Words};
use crate::weights::Weights;
use crate::worker::{Threads, Worker};

/// Changes whenever the same files would give other vectors.
const VERSION: &str = "encoder 1";

/// What the network is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Weights where the folder has them for a BERT or a RoBERTa, otherwise a graph.
    #[default]
    Any,
    /// `model.safetensors` and `config.json`.
    Weights,
    /// `onnx/model.onnx`.
    Graph,
}

/// How exactly the network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats: cosine to the exact result of 0.99999 and more.
    #[default]
    F32,
}

/// What a caller may want other than the folder says. The default changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How exactly to compute.
    pub precision: Precision,
    /// What to make the network from.
    pub source: Source,
    /// Tokens of a text, special ones included, at most what the network has positions for.
    pub max_tokens: Option<usize>,
    /// Another pooling.
    pub pooling: Option<Pooling>,
    /// Whether vectors are brought to length 1.
    pub normalise: Option<bool>,
    /// The name of one of the folder's prompts, put before each text instead of its default one.
    pub prompt: Option<String>,
}

enum Network {
    Bert(Box<Bert>),
    Graph(Box<Graph>),
}

/// An opened model. Shared by all threads; nothing in it changes.
pub struct Model {
    network: Network,
    words: Words,
    pooling: Vec<Pooling>,
    normalise: bool,
    prompts: BTreeMap<String, String>,
    fingerprint: [u8; 32],
}

impl Model {
    /// Reads a folder: `modules.json`, `config.json`, `sentence_bert_config.json`, the pooling's `config.json`,
    /// `config_sentence_transformers.json`, `tokenizer.json`, and `model.safetensors` or `onnx/model.onnx`.
    pub fn open(folder: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let recipe = Recipe::read(folder.as_ref())?;
        let config = Document::read(recipe.folder.join("config.json"), "the network's sizes")?;
        let mut digest = Sha256::new();
        let (network, network_tokens, vocabulary) = read_network(&recipe, &config, options.source, &mut digest)?;
        let tokens_max = tokens_max(&recipe, options, network_tokens)?;
        let prompt = match &options.prompt {
            None => recipe.prompt.clone(),
            Some(name) => recipe.prompts.get(name).cloned().ok_or_else(|| OpenError::Option {
                option: "prompt",
                reason: format!("{name:?} is not among the prompts of config_sentence_transformers.json"),
            })?,
        };
        let pooling = options.pooling.map_or(recipe.pooling, |pooling| vec![pooling]);
        let normalise = options.normalise.unwrap_or(recipe.normalise);
        let file = recipe.folder.join("tokenizer.json");
        let bytes = folder::read(&file, "the tokenizer, as the tokenizers library writes it")?;
        add(&mut digest, &bytes);
        let (precision, lowercase) = (options.precision, recipe.lowercase);
        add(
            &mut digest,
            format!("{pooling:?} {normalise} {tokens_max} {precision:?} {lowercase} {prompt:?}").as_bytes(),
        );
        let preparation = Preparation { prompt, lowercase, tokens_max, vocabulary };
        let words = Words::parse(&file, &bytes, preparation)?;
        let fingerprint = digest.finalize().into();
        Ok(Self { network, words, pooling, normalise, prompts: recipe.prompts, fingerprint })
    }

    /// Components of a vector.
    pub fn dimension(&self) -> usize {
        self.width() * self.pooling.len()
    }

    /// The most tokens of a text, special ones included.
    pub fn max_tokens(&self) -> usize {
        self.words.tokens_max()
    }

    /// Token ids are below this.
    pub fn vocabulary(&self) -> usize {
        self.words.vocabulary()
    }

    /// Whether vectors are brought to length 1 where a request says nothing else.
    pub fn normalises(&self) -> bool {
        self.normalise
    }

    /// The folder's prompts by name: what is put before texts of some purpose.
    pub fn prompts(&self) -> &BTreeMap<String, String> {
        &self.prompts
    }

    /// [`Source::Weights`] or [`Source::Graph`].
    pub fn source(&self) -> Source {
        match self.network {
            Network::Bert(_) => Source::Weights,
            Network::Graph(_) => Source::Graph,
        }
    }

    /// SHA-256 of all that a vector depends on: weights, configuration, tokenizer, pooling, normalisation,
    /// limit of tokens, prompt, precision. A request's own `normalise` is not in it.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// A text as the network will see it. NUL, control characters and the empty text are texts like any other.
    pub fn tokenize(&self, text: &str, overlong: Overlong) -> Result<Tokens, EncodeError> {
        self.words.tokenize(text, overlong)
    }

    /// Token ids that the caller has already, with the special tokens around them or without.
    ///
    /// Fails with the first id that is not below [`Self::vocabulary`].
    pub fn take_ids(&self, ids: &[u32]) -> Result<Tokens, u32> {
        self.words.take(ids)
    }

    /// One vector of [`Self::dimension`] per text, in their order, normalised where the model does so.
    pub fn encode(&self, texts: &[&Tokens], worker: &mut Worker) -> Result<Vec<Vec<f32>>, EncodeError> {
        let Worker { threads, scratch } = worker;
        let mut vectors = threads.install(|| self.pooled(texts, threads, scratch))?;
        if self.normalise {
            vectors.iter_mut().for_each(|vector| pooling::normalise(vector));
        }
        Ok(vectors)
    }

    /// Vectors as pooling leaves them. The caller is on one of the threads.
    pub(crate) fn pooled(
        &self,
        texts: &[&Tokens],
        threads: &Threads,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let texts: Vec<&[u32]> = texts.iter().map(|text| text.ids.as_slice()).collect();
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        if texts.iter().any(|text| text.is_empty()) {
            return Err(EncodeError::because("a text without any token"));
        }
        let width = self.width();
        match &self.network {
            Network::Bert(bert) => {
                let mut tokens = bert.forward(&texts, scratch)?;
                let vectors = texts.iter().map(|text| {
                    let (own, behind) = tokens.split_at(text.len() * width);
                    tokens = behind;
                    self.pool(own)
                });
                Ok(vectors.collect())
            }
            Network::Graph(graph) => {
                let mut vectors = vec![Vec::new(); texts.len()];
                graph.forward(&texts, threads.for_graphs(), |text, tokens| vectors[text] = self.pool(tokens))?;
                Ok(vectors)
            }
        }
    }

    fn pool(&self, tokens: &[f32]) -> Vec<f32> {
        let mut vector = Vec::with_capacity(self.dimension());
        self.pooling.iter().for_each(|pooling| pooling.pool(tokens, self.width(), &mut vector));
        vector
    }

    fn width(&self) -> usize {
        match &self.network {
            Network::Bert(bert) => bert.hidden(),
            Network::Graph(graph) => graph.hidden(),
        }
    }
}

/// With each part's length, so that no two lists of parts look alike.
fn add(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

/// The network, the most tokens it takes and the ids it knows, as far as its files tell.
fn read_network(
    recipe: &Recipe,
    config: &Document,
    source: Source,
    digest: &mut Sha256,
) -> Result<(Network, Option<usize>, Option<usize>), OpenError> {
    let (weights_file, graph_file) = (recipe.folder.join("model.safetensors"), recipe.folder.join("onnx/model.onnx"));
    let architecture = if source == Source::Graph { None } else { Architecture::read(config)? };
    if let Some(architecture) = architecture.filter(|_| source == Source::Weights || weights_file.exists()) {
        let bytes = folder::read(&weights_file, "the network's weights")?;
        add(digest, format!("{VERSION} weights {architecture:?}").as_bytes());
        add(digest, &bytes);
        let (tokens, vocabulary) = (architecture.tokens_max(), architecture.vocabulary);
        let bert = Bert::read(architecture, &Weights::parse(&weights_file, &bytes)?)?;
        return Ok((Network::Bert(Box::new(bert)), Some(tokens), Some(vocabulary)));
    }
    if source == Source::Weights {
        return Err(config.wrong("model_type", "is not of the BERT family, and can only be run from a graph"));
    }
    const WANTED: &str = "the network as a graph, where there is no model.safetensors of the BERT family";
    add(digest, format!("{VERSION} graph").as_bytes());
    for part in graph_parts(&graph_file) {
        add(digest, &folder::read(&part, WANTED)?);
    }
    let (width, padding) = (config.count("hidden_size")?, config.get("pad_token_id")?.unwrap_or(0));
    let (tokens, vocabulary) = (architecture::tokens_max(config)?, config.get("vocab_size")?);
    Ok((Network::Graph(Box::new(Graph::read(&graph_file, padding, width)?)), tokens, vocabulary))
}

/// The graph's file and those beside it that hold its weights, by their customary names.
fn graph_parts(file: &Path) -> Vec<PathBuf> {
    let beside = ["model.onnx_data", "model.onnx.data"].map(|name| file.with_file_name(name));
    std::iter::once(file.to_owned()).chain(beside.into_iter().filter(|part| part.exists())).collect()
}

fn tokens_max(recipe: &Recipe, options: &Options, network: Option<usize>) -> Result<usize, OpenError> {
    let wrong = |reason: String| OpenError::Option { option: "max_tokens", reason };
    match (options.max_tokens, network) {
        (Some(0), _) => Err(wrong("must be above zero".to_owned())),
        (Some(asked), Some(most)) if asked > most => Err(wrong(format!("the network has positions for {most} tokens"))),
        (Some(asked), _) => Ok(asked),
        (None, most) => {
            let own = recipe
                .tokens_max
                .or(most)
                .ok_or_else(|| wrong("the folder does not say, so it has to be given".to_owned()))?;
            Ok(own.min(most.unwrap_or(own)))
        }
    }
}
