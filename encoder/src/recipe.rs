//! What a folder says is done around the network: `modules.json` and the files it leads to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::OpenError;
use crate::folder::Document;
use crate::pooling::Pooling;

/// How a text becomes tokens, and the tokens' vectors one vector.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The folder of the network and of its tokenizer.
    pub(crate) folder: PathBuf,
    pub(crate) pooling: Vec<Pooling>,
    pub(crate) normalise: bool,
    /// Of `sentence_bert_config.json`; None where the network's own limit counts.
    pub(crate) tokens_max: Option<usize>,
    pub(crate) lowercase: bool,
    /// What is put before each text, by name.
    pub(crate) prompts: BTreeMap<String, String>,
    /// The one that is put before texts where nothing else is said.
    pub(crate) prompt: String,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

impl Recipe {
    pub(crate) fn read(folder: &Path) -> Result<Self, OpenError> {
        let modules = Document::read(folder.join("modules.json"), "the parts of a sentence-transformers model")?;
        let (mut network, mut pooling, mut normalise) = (None, None, false);
        for module in modules.whole::<Vec<Module>>()? {
            let place = folder.join(&module.path);
            match module.r#type.rsplit('.').next() {
                Some("Transformer") if network.is_none() => network = Some(place),
                Some("Pooling") if network.is_some() && pooling.is_none() => pooling = Some(read_pooling(&place)?),
                Some("Normalize") if pooling.is_some() => normalise = true,
                _ => {
                    let reason =
                        format!("{:?} is not supported here, only Transformer, Pooling, Normalize", module.r#type);
                    return Err(modules.wrong("type", reason));
                }
            }
        }
        let missing = |what: &str| modules.wrong("type", format!("there is no {what}"));
        let network = network.ok_or_else(|| missing("Transformer"))?;
        let (pooling, with_prompt) = pooling.ok_or_else(|| missing("Pooling"))?;
        let mut recipe = Self {
            folder: network,
            pooling,
            normalise,
            tokens_max: None,
            lowercase: false,
            prompts: BTreeMap::new(),
            prompt: String::new(),
        };
        recipe.read_lengths()?;
        recipe.read_prompts(folder, with_prompt)?;
        Ok(recipe)
    }

    fn read_lengths(&mut self) -> Result<(), OpenError> {
        if let Some(config) = Document::find(self.folder.join("sentence_bert_config.json"))? {
            self.tokens_max = config.get("max_seq_length")?;
            self.lowercase = config.get("do_lower_case")?.unwrap_or(false);
            if self.tokens_max == Some(0) {
                return Err(config.wrong("max_seq_length", "must be above zero"));
            }
        }
        Ok(())
    }

    fn read_prompts(&mut self, folder: &Path, with_prompt: bool) -> Result<(), OpenError> {
        let Some(config) = Document::find(folder.join("config_sentence_transformers.json"))? else { return Ok(()) };
        self.prompts = config.get("prompts")?.unwrap_or_default();
        if let Some(name) = config.get::<String>("default_prompt_name")? {
            let known = self.prompts.get(&name).cloned();
            self.prompt = known.ok_or_else(|| config.wrong("default_prompt_name", format!("{name:?} is no prompt")))?;
        }
        if !with_prompt && self.prompts.values().any(|prompt| !prompt.is_empty()) {
            return Err(config.wrong("prompts", "pooling with include_prompt = false is not supported"));
        }
        Ok(())
    }
}

fn read_pooling(folder: &Path) -> Result<(Vec<Pooling>, bool), OpenError> {
    let config = Document::read(folder.join("config.json"), "how tokens are pooled")?;
    Ok((Pooling::read(&config)?, config.get("include_prompt")?.unwrap_or(true)))
}
