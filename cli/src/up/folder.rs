//! The data folder belongs to one platform at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::failure::Failure;

const LOCK_FILE: &str = "lakehouse.lock";

/// Creates the folder and locks it for as long as the file lives. The kernel lets go of the lock
/// however the process ends.
pub(super) fn lock(data: &Path) -> Result<File, Failure> {
    let unusable = |error: std::io::Error| Failure::local(format!("the data folder {}", data.display()), error);
    std::fs::create_dir_all(data).map_err(unusable)?;
    let options = File::options().create(true).truncate(false).write(true).open(data.join(LOCK_FILE));
    let file = options.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Platform(format!(
            "the data folder {} is in use by another platform (--data chooses another)",
            data.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
