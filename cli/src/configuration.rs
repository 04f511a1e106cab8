//! `lakehouse config`

use clap::Args;
use kit::config::{Loaded, ServiceConfig};
use serde::Serialize;
use toml::{Table, Value};

use crate::Place;
use crate::failure::Failure;
use crate::output;
use crate::platform::PlatformConfig;

#[derive(Args)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    place: Place,
    /// Print the defaults instead: every key there is.
    #[arg(long)]
    default: bool,
}

pub(crate) fn run(arguments: &ConfigArguments) -> Result<(), Failure> {
    let text = if arguments.default { defaults()? } else { in_force(&arguments.place)? };
    output::print(&text)
}

fn in_force(place: &Place) -> Result<String, Failure> {
    let config = PlatformConfig::load(&place.sources, &place.data)?;
    let loaded = &config.loaded;
    let mut text = String::new();
    section("telemetry", &config.telemetry, Some(loaded), &mut text)?;
    service(&config.gateway, Some(loaded), &mut text)?;
    service(&config.storaged, Some(loaded), &mut text)?;
    service(&config.catalogd, Some(loaded), &mut text)?;
    service(&config.ingestd, Some(loaded), &mut text)?;
    service(&config.queryd, Some(loaded), &mut text)?;
    service(&config.vectord, Some(loaded), &mut text)?;
    service(&config.embedd, Some(loaded), &mut text)?;
    Ok(text)
}

fn defaults() -> Result<String, Failure> {
    let mut text = String::new();
    section("telemetry", &kit::telemetry::TelemetryConfig::default(), None, &mut text)?;
    service(&gateway::Config::default(), None, &mut text)?;
    service(&storaged::Config::default(), None, &mut text)?;
    service(&catalogd::Config::default(), None, &mut text)?;
    service(&ingestd::Config::default(), None, &mut text)?;
    service(&queryd::Config::default(), None, &mut text)?;
    service(&vectord::Config::default(), None, &mut text)?;
    service(&embedd::Config::default(), None, &mut text)?;
    Ok(text)
}

fn service<C: ServiceConfig>(config: &C, loaded: Option<&Loaded>, text: &mut String) -> Result<(), Failure> {
    section(C::SECTION, config, loaded, text)
}

fn section(name: &str, config: &impl Serialize, loaded: Option<&Loaded>, text: &mut String) -> Result<(), Failure> {
    let table = Table::try_from(config).map_err(|error| Failure::local(format!("printing [{name}]"), error))?;
    print(name, &table, loaded, text);
    Ok(())
}

/// A table's own values first, then the tables below it, as TOML wants it. A value that somebody
/// set says who.
fn print(path: &str, table: &Table, loaded: Option<&Loaded>, text: &mut String) {
    let blank = if text.is_empty() { "" } else { "\n" };
    text.push_str(&format!("{blank}[{path}]\n"));
    for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
        let said = loaded.and_then(|loaded| loaded.source(&format!("{path}.{key}")));
        let comment = said.map(|source| format!(" # {source}")).unwrap_or_default();
        text.push_str(&format!("{key} = {value}{comment}\n"));
    }
    for (key, value) in table {
        if let Value::Table(below) = value {
            print(&format!("{path}.{key}"), below, loaded, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::config::Sources;

    #[test]
    fn what_is_printed_can_be_read_again_and_holds_no_secret() {
        let overrides = ["storaged.s3.access_key_id=id", "storaged.s3.secret_access_key=hunter2", "queryd.queue_max=7"];
        let sources = Sources { file: None, overrides: overrides.iter().map(|&text| text.to_owned()).collect() };
        let text = in_force(&Place { sources, data: "data".into() }).unwrap();
        assert!(text.contains("queue_max = 7 # --set\n") && !text.contains("hunter2"), "{text}");
        assert!(text.contains("secret_access_key = \"***\""), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lakehouse.toml");
        std::fs::write(&file, &text).unwrap();
        let again =
            PlatformConfig::load(&Sources { file: Some(file), overrides: Vec::new() }, "data".as_ref()).unwrap();
        assert_eq!(again.queryd.queue_max, 7);
    }

    #[test]
    fn the_defaults_are_every_section() {
        let table: Table = defaults().unwrap().parse().unwrap();
        let sections: Vec<&str> = table.keys().map(String::as_str).collect();
        assert_eq!(
            sections,
            ["catalogd", "embedd", "gateway", "ingestd", "queryd", "storaged", "telemetry", "vectord"]
        );
    }
}
