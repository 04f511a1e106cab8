//! Which of several servers keeps a key.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1998): each server has a score for each key, and the highest
//! keeps it. Whatever the order they are configured in, and one that is added or taken away moves its
//! own keys alone. One that is down is not replaced by another: it comes back with what it had.

use sha2::{Digest, Sha256};

use crate::embedding::Key;

/// The servers' own parts of the score, in their order.
pub(super) struct Shards(Vec<u64>);

impl Shards {
    /// By the servers' names: the same for every process that shares the cache.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Shards(names.into_iter().map(|name| head(&Sha256::digest(name).into())).collect())
    }

    /// The number of the server that keeps it.
    pub(super) fn of(&self, key: &Key) -> usize {
        let text = head(&key.text) ^ head(&key.model.0).rotate_left(32);
        let scores = self.0.iter().map(|server| mixed(server ^ text)).enumerate();
        scores.max_by_key(|&(_, score)| score).map_or(0, |(shard, _)| shard)
    }
}

fn head(hash: &[u8; 32]) -> u64 {
    hash.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input turns half of the output's.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::Fingerprint;

    fn keys() -> impl Iterator<Item = Key> {
        let model = Fingerprint([3; 32]);
        (0..10_000_u32).map(move |n| Key { model, text: Sha256::digest(n.to_le_bytes()).into() })
    }

    #[test]
    fn keys_are_spread_evenly_and_move_only_to_the_new_one() {
        let three = Shards::new(["a:6379", "b:6379", "c:6379"]);
        let four = Shards::new(["a:6379", "b:6379", "c:6379", "d:6379"]);
        let mut kept = [0; 4];
        for key in keys() {
            let (before, after) = (three.of(&key), four.of(&key));
            assert!(after == before || after == 3, "moved from {before} to {after}");
            kept[after] += 1;
        }
        assert!(kept.iter().all(|&n| (2_300..2_700).contains(&n)), "{kept:?}");
    }

    #[test]
    fn the_order_in_the_config_does_not_matter() {
        let (names, turned) = (["a:6379", "b:6379"], ["b:6379", "a:6379"]);
        let (one, other) = (Shards::new(names), Shards::new(turned));
        assert!(keys().all(|key| names[one.of(&key)] == turned[other.of(&key)]));
    }
}
