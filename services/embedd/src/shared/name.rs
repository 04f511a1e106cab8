//! What entries and locks are called in Redis.

use crate::embedding::Key;

/// Of the names and the values together: another one is another cache.
pub(super) const VERSION: u8 = 1;

/// `emb:{version}:{model fingerprint}:{sha256(text)}`, both in hex.
pub(super) fn entry(key: &Key) -> String {
    format!("emb:{VERSION}:{}:{}", hex::encode(key.model.0), hex::encode(key.text))
}

/// The lock of an entry. The braces are literal: a cluster places a key by what stands in them, so that
/// the lock lies where the entry does.
pub(super) fn lock(entry: &str) -> String {
    format!("lock:{{{entry}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::Fingerprint;

    #[test]
    fn names_are_what_they_always_were() {
        let key = Key { model: Fingerprint([0xab; 32]), text: [0x01; 32] };
        let name = entry(&key);
        assert_eq!(name, format!("emb:1:{}:{}", "ab".repeat(32), "01".repeat(32)));
        assert_eq!(lock(&name), format!("lock:{{{name}}}"));
    }
}
