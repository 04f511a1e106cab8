//! Where the servers lie.

use std::io;
use std::path::PathBuf;

/// Where `setup/test-servers.sh` has put them: in this checkout, or where the environment says. Looked
/// for when it is needed: what was compiled in one checkout may run in another of the same user.
pub(crate) fn servers() -> io::Result<PathBuf> {
    const FOLDER: &str = ".tools/test-servers";
    if let Some(named) = std::env::var_os("LAKEHOUSE_TEST_SERVERS") {
        return Ok(named.into());
    }
    // Tests run in the folder of their crate.
    let here = std::env::current_dir()?;
    let found = here.ancestors().map(|folder| folder.join(FOLDER)).find(|folder| folder.is_dir());
    found.ok_or_else(|| io::Error::other(format!("no {FOLDER} above {}: run setup/test-servers.sh", here.display())))
}
