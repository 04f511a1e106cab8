//! What `setup/` has installed for tests.

use std::io;
use std::path::PathBuf;

/// all-MiniLM-L6-v2: the folder that `LAKEHOUSE_TEST_MINILM` names, or `.tools/minilm` of this checkout.
///
/// Fails with what to run where it is not there.
pub fn minilm() -> io::Result<PathBuf> {
    find("LAKEHOUSE_TEST_MINILM", ".tools/minilm", "./just setup")
}

/// Where `setup/test-servers.sh` has put the servers.
pub(crate) fn servers() -> io::Result<PathBuf> {
    find("LAKEHOUSE_TEST_SERVERS", ".tools/test-servers", "setup/test-servers.sh")
}

/// OpenAI's and Ollama's clients for Python: a folder for `PYTHONPATH`.
///
/// Fails with what to run where it is not there.
pub fn clients() -> io::Result<PathBuf> {
    Ok(servers()?.join("clients"))
}

/// In this checkout, or where the environment says. Looked for when it is needed: what was compiled in one
/// checkout may run in another of the same user.
fn find(variable: &str, folder: &str, recipe: &str) -> io::Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named.into());
    }
    // Tests run in the folder of their crate.
    let here = std::env::current_dir()?;
    let found = here.ancestors().map(|above| above.join(folder)).find(|found| found.is_dir());
    found.ok_or_else(|| io::Error::other(format!("no {folder} above {}: run {recipe}", here.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_says_how_to_get_it() {
        let error = find("LAKEHOUSE_TEST_NOTHING", ".tools/nothing", "./just setup").unwrap_err().to_string();
        assert!(error.starts_with("no .tools/nothing above ") && error.ends_with(": run ./just setup"), "{error}");
    }

    #[test]
    fn minilm_has_weights() {
        assert!(minilm().unwrap().join("model.safetensors").is_file());
    }
}
