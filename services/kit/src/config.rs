//! One `lakehouse.toml`, the environment over it, flags over both.
//!
//! Each service has a section of its name; `[telemetry]` is everybody's. A key or a section that
//! nobody knows is an error, so that a typo never passes silently. Environment variables are
//! `LAKEHOUSE__SECTION__KEY` (`LAKEHOUSE__STORAGED__MAX_OBJECT_BYTES=1048576`), a section below a
//! section one more `__` on; flags are `--set section.key=value`.

use std::net::SocketAddr;
use std::path::PathBuf;

use figment::providers::{Env, Format, Toml};
use figment::value::Value;
use figment::{Figment, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::telemetry::TelemetryConfig;

/// The file that is read where none is named and this one is there.
pub const DEFAULT_FILE: &str = "lakehouse.toml";
const ENV_PREFIX: &str = "LAKEHOUSE__";

/// Every section of the file. One process reads only its own, but knows the others' names.
const SECTIONS: [&str; 10] =
    ["telemetry", "gateway", "storaged", "catalogd", "ingestd", "queryd", "vectord", "embedd", "semcached", "contextd"];

/// The address of a service on this machine: where peers are by default.
#[must_use]
#[allow(clippy::expect_used, reason = "a literal address and a port always make a URL")]
pub fn loopback_url(port: u16) -> Url {
    Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a port makes a URL")
}

/// The section of one service.
pub trait ServiceConfig: Serialize + DeserializeOwned + Default + Clone + Send + 'static {
    /// Its name in the file: the service's own.
    const SECTION: &'static str;

    /// Where the service listens.
    fn listen(&self) -> SocketAddr;

    /// What types cannot say: combinations that make no sense, named by their keys.
    ///
    /// # Errors
    /// One sentence for the person who wrote the file.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Sources {
    /// The configuration file [default: lakehouse.toml, where there is one].
    #[arg(long = "config", value_name = "FILE", env = "LAKEHOUSE_CONFIG", global = true)]
    pub file: Option<PathBuf>,
    /// One key's value, over file and environment; may be given again.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", global = true)]
    pub overrides: Vec<String>,
}

/// Why the configuration is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Named, and not there.
    #[error("there is no configuration file {}", .0.display())]
    NoFile(PathBuf),
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("configuration: {0}")]
    Invalid(Box<figment::Error>),
    /// A section of no service.
    #[error("configuration: there is no section [{0}]; sections are {known}", known = SECTIONS.join(", "))]
    UnknownSection(String),
    /// A `--set` without its form.
    #[error("configuration: --set takes SECTION.KEY=VALUE, not {0:?}")]
    BadOverride(String),
    /// Valid by type, and still senseless.
    #[error("configuration: [{section}] {reason}")]
    Senseless {
        /// The section.
        section: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// The sources, read and merged; sections are taken out of it one by one.
#[derive(Debug)]
pub struct Loaded(Figment);

impl Sources {
    /// Reads the file and the environment, and refuses sections that nobody knows.
    ///
    /// # Errors
    /// A file that is named and missing or is not TOML, an unknown section, a malformed flag.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let file = match &self.file {
            Some(file) if !file.is_file() => return Err(ConfigError::NoFile(file.clone())),
            Some(file) => file.clone(),
            None => PathBuf::from(DEFAULT_FILE),
        };
        let mut figment = Figment::new();
        if file.is_file() {
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment.merge(Env::prefixed(ENV_PREFIX).split("__"));
        for text in &self.overrides {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| key.contains('.'))
                .ok_or_else(|| ConfigError::BadOverride(text.clone()))?;
            let value: Value = value.parse().unwrap_or_else(|never| match never {});
            figment = figment.merge((key.trim(), value));
        }
        let sections: figment::value::Dict = figment.extract().map_err(invalid)?;
        match sections.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            Some(unknown) => Err(ConfigError::UnknownSection(unknown.clone())),
            None => Ok(Loaded(figment)),
        }
    }
}

impl Loaded {
    /// A service's section; defaults where nothing is said.
    ///
    /// # Errors
    /// Unknown keys, wrong types, and what [`ServiceConfig::validate`] refuses.
    pub fn section<C: ServiceConfig>(&self) -> Result<C, ConfigError> {
        let config: C = self.extract(C::SECTION)?;
        config.validate().map_err(|reason| ConfigError::Senseless { section: C::SECTION, reason })?;
        Ok(config)
    }

    /// `[telemetry]`.
    ///
    /// # Errors
    /// Unknown keys and wrong types.
    pub fn telemetry(&self) -> Result<TelemetryConfig, ConfigError> {
        self.extract("telemetry")
    }

    /// Whether anything at all is said of `section.key`.
    pub fn says(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// Where the value of `section.key` was said; `None` where it is the default.
    pub fn source(&self, key: &str) -> Option<String> {
        let metadata = self.0.find_metadata(key)?;
        Some(match &metadata.source {
            Some(Source::File(path)) => path.display().to_string(),
            _ if metadata.name.contains(ENV_PREFIX) => "environment".to_owned(),
            _ => "--set".to_owned(),
        })
    }

    fn extract<T: DeserializeOwned + Default>(&self, section: &str) -> Result<T, ConfigError> {
        if !self.0.contains(section) {
            return Ok(T::default());
        }
        self.0.extract_inner(section).map_err(invalid)
    }
}

fn invalid(error: figment::Error) -> ConfigError {
    ConfigError::Invalid(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::time::Duration;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        listen: SocketAddr,
        bytes_max: u64,
        #[serde(with = "humantime_serde")]
        wait: Duration,
    }

    impl Default for Config {
        fn default() -> Self {
            Config { listen: ([127, 0, 0, 1], 3211).into(), bytes_max: 1, wait: Duration::from_secs(1) }
        }
    }

    impl ServiceConfig for Config {
        const SECTION: &'static str = "storaged";
        fn listen(&self) -> SocketAddr {
            self.listen
        }
        fn validate(&self) -> Result<(), String> {
            if self.bytes_max == 0 { Err("bytes_max must not be 0".into()) } else { Ok(()) }
        }
    }

    fn sources(text: &str, overrides: &[&str]) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lakehouse.toml");
        std::fs::write(&file, text).unwrap();
        let overrides = overrides.iter().map(|&o| o.to_owned()).collect();
        (folder, Sources { file: Some(file), overrides })
    }

    #[test]
    fn flags_win_over_the_file() {
        let (_folder, sources) =
            sources("[storaged]\nbytes_max = 7\nwait = \"30s\"\n[queryd]\nanything = 1\n", &["storaged.bytes_max=9"]);
        let loaded = sources.load().unwrap();
        let config: Config = loaded.section().unwrap();
        assert_eq!((config.bytes_max, config.wait), (9, Duration::from_secs(30)));
        assert_eq!(loaded.source("storaged.bytes_max").as_deref(), Some("--set"));
        assert!(loaded.source("storaged.wait").unwrap().ends_with("lakehouse.toml"));
        assert_eq!(loaded.source("storaged.listen"), None);
    }

    #[test]
    fn what_nobody_knows_is_refused_by_name() {
        let (_folder, unknown_key) = sources("[storaged]\nbytes_maxx = 7\n", &[]);
        let error = unknown_key.load().unwrap().section::<Config>().unwrap_err().to_string();
        assert!(error.contains("bytes_maxx"), "{error}");
        let (_folder, unknown_section) = sources("[storage]\nx = 7\n", &[]);
        assert!(unknown_section.load().unwrap_err().to_string().contains("[storage]"));
        let (_folder, senseless) = sources("[storaged]\nbytes_max = 0\n", &[]);
        let error = senseless.load().unwrap().section::<Config>().unwrap_err().to_string();
        assert_eq!(error, "configuration: [storaged] bytes_max must not be 0");
        let (_folder, malformed) = sources("", &["storaged"]);
        assert!(matches!(malformed.load(), Err(ConfigError::BadOverride(_))));
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let sources = Sources { file: Some("/nowhere/lakehouse.toml".into()), overrides: Vec::new() };
        assert!(matches!(sources.load(), Err(ConfigError::NoFile(_))));
    }
}
