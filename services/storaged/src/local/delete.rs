//! Deleting objects, and the folders that this empties.

use super::folders::Made;
use super::{Files, is_absence};
use crate::Error;
use crate::etag::Condition;
use crate::key::ObjectKey;

impl Files {
    pub(super) fn delete(&self, key: &ObjectKey, condition: &Condition) -> Result<(), Error> {
        let path = self.path(key);
        {
            let _alone = self.lock(key);
            if self.check(key, &path, condition)?.is_none() {
                return Ok(());
            }
            match std::fs::remove_file(&path) {
                Err(error) if !is_absence(&error) => return Err(Error::disk("delete an object", error)),
                _ => {}
            }
        }
        let folder = path.parent().unwrap_or(&self.directory.objects);
        // Before the folder goes: its removal alone would not make this durable.
        self.folders.settle(folder, Made::default()).map_err(|error| Error::disk("make a deletion durable", error))?;
        self.folders.prune(folder);
        Ok(())
    }
}
