//! One look-then-write of a key at a time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::key::ObjectKey;

/// The keys that are being looked at and then written. Not a lock: whoever finds a key taken is
/// told to come again, as S3 itself does with 409 ConditionalRequestConflict.
#[derive(Default)]
pub(super) struct Reservations(Mutex<HashSet<ObjectKey>>);

/// Given back when dropped.
pub(super) struct Reservation<'a> {
    all: &'a Reservations,
    key: ObjectKey,
}

impl Reservations {
    pub(super) fn take(&self, key: &ObjectKey) -> Result<Reservation<'_>, Error> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            Ok(Reservation { all: self, key: key.clone() })
        } else {
            Err(Error::Conflict { key: key.to_string() })
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_once_until_it_is_given_back() {
        let (all, key) = (Reservations::default(), ObjectKey::parse("a").unwrap());
        let taken = all.take(&key).unwrap();
        assert!(matches!(all.take(&key), Err(Error::Conflict { .. })));
        assert!(all.take(&ObjectKey::parse("b").unwrap()).is_ok());
        drop(taken);
        assert!(all.take(&key).is_ok());
    }
}
