//! What memory holds, in a file: a restart begins with it.
//!
//! The cache keeps what is used most (moka's TinyLFU), so its content is what is worth to be there again. The
//! file: `LHEMB`, the version byte 1, then for each entry the two halves of its key (32 bytes each), tokens and
//! dimension as u32, and the numbers as f32, all little-endian; at the end SHA-256 of everything before. Texts
//! are not in it, only their hashes.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;
use crate::embedder::Embedder;
use crate::embedding::{Embedding, Fingerprint, Key};

const HEAD: &[u8] = b"LHEMB\x01";
const DIGEST_BYTES: usize = 32;

/// Writes memory's content to `most_used_file`, where one is configured.
///
/// # Errors
/// A disk that does not take it; the file that was there stays.
pub(crate) async fn save(embedder: &Embedder) -> Result<(), Error> {
    let Some(path) = embedder.config().most_used_file.clone() else { return Ok(()) };
    let embedder = embedder.clone();
    let work = tokio::task::spawn_blocking(move || write(&path, &encode(&embedder.tier1().entries())));
    let written = work.await.map_err(|_| Error::WorkLost)?;
    written.map_err(|source| Error::Io { what: "writing most_used_file", source })
}

/// Takes the file's entries into memory, those of models that are there; how many.
///
/// # Errors
/// No file, or one that is damaged.
pub(super) async fn load(embedder: &Embedder) -> Result<usize, Error> {
    let path = embedder.config().most_used_file.clone();
    let path = path.ok_or_else(|| Error::Invalid("most_used_file is not configured".into()))?;
    let embedder = embedder.clone();
    let work = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(&path).map_err(|source| Error::Io { what: "reading most_used_file", source })?;
        let entries = decode(&bytes).ok_or_else(|| Error::Invalid("most_used_file is damaged".into()))?;
        let models = embedder.models().ready();
        let mut taken = 0;
        for (key, embedding) in entries {
            let fits = models.iter().any(|model| model.makes(&key) && model.fits(&embedding.vector));
            if fits && embedder.tier1().get(&key).is_none() {
                embedder.tier1().insert(key, embedding);
                taken += 1;
            }
        }
        Ok(taken)
    });
    work.await.map_err(|_| Error::WorkLost)?
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Beside it first: what has the right name is whole.
    let partial = path.with_extension("partial");
    std::fs::write(&partial, bytes)?;
    std::fs::File::open(&partial)?.sync_all()?;
    std::fs::rename(&partial, path)
}

fn encode(entries: &[(Key, Embedding)]) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    for (key, Embedding { tokens, vector }) in entries {
        out.extend(key.model.0);
        out.extend(key.text);
        out.extend(tokens.to_le_bytes());
        out.extend(u32::try_from(vector.len()).unwrap_or_default().to_le_bytes());
        vector.iter().for_each(|number| out.extend(number.to_le_bytes()));
    }
    let digest: [u8; DIGEST_BYTES] = Sha256::digest(&out).into();
    out.extend(digest);
    out
}

/// `None` where it is damaged.
fn decode(bytes: &[u8]) -> Option<Vec<(Key, Embedding)>> {
    let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
    if Sha256::digest(content)[..] != *digest {
        return None;
    }
    let (mut rest, mut entries) = (content.strip_prefix(HEAD)?, Vec::new());
    while !rest.is_empty() {
        let (model, after) = rest.split_first_chunk::<32>()?;
        let (text, after) = after.split_first_chunk::<32>()?;
        let (tokens, after) = after.split_first_chunk::<4>()?;
        let (dimension, after) = after.split_first_chunk::<4>()?;
        let bytes = usize::try_from(u32::from_le_bytes(*dimension)).ok()?.checked_mul(4)?;
        let (numbers, after) = after.split_at_checked(bytes)?;
        let vector = numbers.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let key = Key { model: Fingerprint(*model), text: *text };
        entries.push((key, Embedding { tokens: u32::from_le_bytes(*tokens), vector }));
        rest = after;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<(Key, Embedding)> {
        let key = |n| Key { model: Fingerprint([n; 32]), text: [n + 1; 32] };
        let entry = |n: u8, vector: Vec<f32>| (key(n), Embedding { tokens: u32::from(n), vector: vector.into() });
        vec![entry(1, vec![0.5, -1.0]), entry(3, vec![1e-30])]
    }

    #[test]
    fn what_was_saved_is_read_as_it_was_and_damage_is_seen() {
        let bytes = encode(&entries());
        assert_eq!(decode(&bytes).unwrap(), entries());
        assert_eq!(decode(&encode(&[])).unwrap(), []);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "{at}");
            assert_eq!(decode(&bytes[..at]), None, "{at}");
        }
    }

    #[test]
    fn files_of_this_version_stay_readable() {
        let fixture = include_bytes!("saved/version-1.bin");
        assert_eq!(decode(fixture).unwrap(), entries());
        assert_eq!(encode(&entries()), fixture);
    }
}
