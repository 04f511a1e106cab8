//! What an entry looks like in Redis.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version (1) |
//! | 1 | form: 1 = f16 rather than f32, 2 = body compressed by zstd, 4 = body encrypted |
//! | … | body |
//! | 4 | CRC-32C of the entry's name and all of the above, little-endian; not where it is encrypted |
//!
//! A body is, all little-endian, the text's tokens (u32), the dimension (u32), and so many numbers. One
//! that is encrypted is a nonce (12 bytes) and what AES-256-GCM makes of it, sixteen bytes of tag at its
//! end; the entry's name, version and form are authenticated with it, so that a value stands under its own
//! name alone. Each name has a key of its own (HKDF-SHA-256 of the configured one), so that random nonces
//! do not run out however many entries there are.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};

use half::f16;

use super::name::VERSION;
use crate::config::{RedisConfig, RedisValue};
use crate::embedding::Embedding;

const F16: u8 = 1;
const ZSTD: u8 = 2;
const ENCRYPTED: u8 = 4;
const HEADER: usize = 2;
const CHECKSUM: usize = 4;
/// Tokens and dimension.
const PREAMBLE: usize = 8;
/// A vector of more numbers is nobody's: bounds what a damaged value makes us allocate.
const DIMENSION_MAX: usize = 1 << 16;
/// Fast; numbers of vectors hardly compress any better at higher ones.
const ZSTD_LEVEL: i32 = 1;
/// For what the keys of this platform's values are derived.
const PURPOSE: &[u8] = b"lakehouse embedd redis value";

/// Writes values in the configured form, and reads those that are as good.
pub(super) struct Codec {
    numbers: RedisValue,
    zstd: bool,
    encryption: Option<Prk>,
    random: SystemRandom,
}

impl Codec {
    pub(super) fn new(config: &RedisConfig) -> Self {
        let encryption = config.encryption_key().map(|key| Salt::new(HKDF_SHA256, PURPOSE).extract(&key));
        Codec { numbers: config.value, zstd: config.zstd, encryption, random: SystemRandom::new() }
    }

    /// `None` where it cannot be written: a vector of senseless length, or no randomness.
    pub(super) fn encode(&self, name: &str, embedding: &Embedding) -> Option<Vec<u8>> {
        let dimension = u32::try_from(embedding.vector.len()).ok().filter(|&d| is_dimension(d as usize))?;
        let halves = match self.numbers {
            RedisValue::F16 => halves(&embedding.vector),
            RedisValue::F32 => None,
        };
        let mut form = 0;
        let mut body = Vec::with_capacity(PREAMBLE + 4 * embedding.vector.len());
        body.extend(embedding.tokens.to_le_bytes());
        body.extend(dimension.to_le_bytes());
        match halves {
            Some(halves) => {
                form |= F16;
                halves.iter().for_each(|number| body.extend(number.to_le_bytes()));
            }
            None => embedding.vector.iter().for_each(|number| body.extend(number.to_le_bytes())),
        }
        if self.zstd {
            form |= ZSTD;
            body = zstd::bulk::compress(&body, ZSTD_LEVEL).ok()?;
        }
        match &self.encryption {
            Some(master) => self.seal(master, name, form | ENCRYPTED, body),
            None => {
                let mut value = vec![VERSION, form];
                value.append(&mut body);
                value.extend(checksum(name, &value).to_le_bytes());
                Some(value)
            }
        }
    }

    /// `None` where it is not a whole, untouched value of this name, in a form at least as good as the configured
    /// one: numbers in f16 are not good enough for f32, and what is not encrypted is not believed where it should
    /// be.
    pub(super) fn decode(&self, name: &str, mut value: Vec<u8>) -> Option<Embedding> {
        let (&version, &form) = (value.first()?, value.get(1)?);
        let good_enough = form & F16 == 0 || self.numbers == RedisValue::F16;
        if version != VERSION || form > F16 | ZSTD | ENCRYPTED || !good_enough {
            return None;
        }
        let body = match (&self.encryption, form & ENCRYPTED != 0) {
            (Some(master), true) => open(master, name, &mut value)?,
            (None, false) => checked(name, &value)?,
            _ => return None,
        };
        if form & ZSTD == 0 {
            return embedding(body, form);
        }
        let plain = zstd::bulk::decompress(body, PREAMBLE + 4 * DIMENSION_MAX).ok()?;
        embedding(&plain, form)
    }

    fn seal(&self, master: &Prk, name: &str, form: u8, mut body: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let key = key_of(master, name)?;
        let known = known(name, form);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(known), &mut body).ok()?;
        let mut value = vec![VERSION, form];
        value.extend(nonce);
        value.append(&mut body);
        Some(value)
    }
}

fn open<'v>(master: &Prk, name: &str, value: &'v mut [u8]) -> Option<&'v [u8]> {
    let (header, sealed) = value.split_at_mut_checked(HEADER)?;
    let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let body = key_of(master, name)?.open_in_place(nonce, Aad::from(known(name, header[1])), sealed).ok()?;
    Some(body)
}

fn key_of(master: &Prk, name: &str) -> Option<LessSafeKey> {
    let name = [name.as_bytes()];
    let derived = master.expand(&name, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(derived)))
}

fn known(name: &str, form: u8) -> Vec<u8> {
    let mut known = vec![VERSION, form];
    known.extend_from_slice(name.as_bytes());
    known
}

fn checked<'v>(name: &str, value: &'v [u8]) -> Option<&'v [u8]> {
    let (value, sum) = value.split_last_chunk::<CHECKSUM>()?;
    let body = value.get(HEADER..)?;
    (checksum(name, value) == u32::from_le_bytes(*sum)).then_some(body)
}

fn checksum(name: &str, value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(name.as_bytes()), value)
}

/// `None` where a number is too large for it: then f32 is written instead.
fn halves(vector: &[f32]) -> Option<Vec<f16>> {
    vector.iter().map(|&number| Some(f16::from_f32(number)).filter(|half| half.is_finite())).collect()
}

fn embedding(body: &[u8], form: u8) -> Option<Embedding> {
    let (tokens, rest) = body.split_first_chunk()?;
    let (dimension, numbers) = rest.split_first_chunk()?;
    let dimension = u32::from_le_bytes(*dimension) as usize;
    let width = if form & F16 == 0 { 4 } else { 2 };
    if !is_dimension(dimension) || numbers.len() != dimension * width {
        return None;
    }
    let vector: Vec<f32> = if width == 4 {
        numbers.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    } else {
        numbers.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect()
    };
    let finite = vector.iter().all(|number| number.is_finite());
    finite.then(|| Embedding { tokens: u32::from_le_bytes(*tokens), vector: vector.into() })
}

fn is_dimension(dimension: usize) -> bool {
    (1..=DIMENSION_MAX).contains(&dimension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use kit::Secret;
    use proptest::prelude::*;

    const NAME: &str = "emb:1:aa:bb";

    fn codec(numbers: RedisValue, zstd: bool, encrypted: bool) -> Codec {
        let key = if encrypted { BASE64_STANDARD.encode([7; 32]) } else { String::new() };
        Codec::new(&RedisConfig { value: numbers, zstd, encryption_key: Secret::new(key), ..RedisConfig::default() })
    }

    fn forms() -> Vec<Codec> {
        let mut all = Vec::new();
        for numbers in [RedisValue::F32, RedisValue::F16] {
            for (zstd, encrypted) in [(false, false), (true, false), (false, true), (true, true)] {
                all.push(codec(numbers, zstd, encrypted));
            }
        }
        all
    }

    fn of(numbers: &[f32]) -> Embedding {
        Embedding { tokens: 9, vector: numbers.into() }
    }

    #[test]
    fn a_value_is_laid_out_as_it_always_was() {
        let value = codec(RedisValue::F32, false, false).encode(NAME, &of(&[1.0, -2.5])).unwrap();
        let fixture = [1, 0, 9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0];
        assert_eq!(value[..value.len() - CHECKSUM], fixture);
        assert_eq!(
            value[value.len() - CHECKSUM..],
            crc32c::crc32c(&[NAME.as_bytes(), &fixture].concat()).to_le_bytes()
        );
        let halves = codec(RedisValue::F16, false, false).encode(NAME, &of(&[1.0, -2.5])).unwrap();
        assert_eq!(halves[..halves.len() - CHECKSUM], [1, 1, 9, 0, 0, 0, 2, 0, 0, 0, 0, 0x3c, 0, 0xc1]);
    }

    #[test]
    fn an_encrypted_value_of_yesterday_is_read_today() {
        let fixture = hex::decode(ENCRYPTED_FIXTURE).unwrap();
        assert_eq!(codec(RedisValue::F32, false, true).decode(NAME, fixture), Some(of(&[1.0, -2.5])));
    }

    /// Made by another implementation of HKDF and AES-GCM, with the nonce 00 01 … 0b.
    const ENCRYPTED_FIXTURE: &str =
        "0104000102030405060708090a0b4a63ae03ca02968746b7543daebb228e4a4a4499ee9ba9a72dd884eab5e76df1";

    #[test]
    fn numbers_too_large_for_f16_stay_f32() {
        let large = of(&[70_000.0, 1.0]);
        let codec = codec(RedisValue::F16, false, false);
        let value = codec.encode(NAME, &large).unwrap();
        assert_eq!(codec.decode(NAME, value), Some(large));
    }

    #[test]
    fn less_than_was_asked_for_is_refused() {
        let value = codec(RedisValue::F16, false, false).encode(NAME, &of(&[0.1])).unwrap();
        assert_eq!(codec(RedisValue::F32, false, false).decode(NAME, value), None, "f16 where f32 is asked for");
        let value = codec(RedisValue::F32, false, false).encode(NAME, &of(&[0.1])).unwrap();
        assert_eq!(codec(RedisValue::F32, false, true).decode(NAME, value.clone()), None, "plain where encrypted");
        assert_eq!(codec(RedisValue::F16, true, false).decode(NAME, value), Some(of(&[0.1])), "f32 where f16 would do");
        assert!(codec(RedisValue::F32, false, false).encode(NAME, &of(&[])).is_none());
    }

    #[test]
    fn encrypted_means_that_nothing_of_it_shows() {
        let numbers: Vec<f32> = (0..64).map(|n| n as f32).collect();
        let (plain, sealed) = (codec(RedisValue::F32, false, false), codec(RedisValue::F32, false, true));
        let visible = 5.0_f32.to_le_bytes();
        let shows = |codec: &Codec| codec.encode(NAME, &of(&numbers)).unwrap().windows(4).any(|w| w == visible);
        assert!(shows(&plain) && !shows(&sealed));
        let other = Codec::new(&RedisConfig {
            encryption_key: Secret::new(BASE64_STANDARD.encode([8; 32])),
            ..RedisConfig::default()
        });
        assert_eq!(other.decode(NAME, sealed.encode(NAME, &of(&numbers)).unwrap()), None, "another key");
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        let codec = codec(RedisValue::F32, false, false);
        for bad in [f32::NAN, f32::INFINITY] {
            let value = codec.encode(NAME, &of(&[1.0, bad])).unwrap();
            assert_eq!(codec.decode(NAME, value), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(numbers in prop::collection::vec(-1.0_f32..1.0, 1..400)) {
            for codec in forms() {
                let value = codec.encode(NAME, &of(&numbers)).unwrap();
                let read = codec.decode(NAME, value).unwrap();
                prop_assert_eq!(read.tokens, 9);
                prop_assert_eq!(read.vector.len(), numbers.len());
                for (&read, &written) in read.vector.iter().zip(&numbers) {
                    match codec.numbers {
                        RedisValue::F32 => prop_assert_eq!(read.to_bits(), written.to_bits()),
                        // Half a unit in the eleventh bit; below 2^-14, half of the smallest step there is.
                        RedisValue::F16 => prop_assert!((read - written).abs() <= (written.abs() / 2048.0).max(3.0e-8)),
                    }
                }
            }
        }

        #[test]
        fn what_was_touched_is_refused(at in 0_usize..200, bit in 0_u8..8, cut in 0_usize..200) {
            for codec in forms() {
                let value = codec.encode(NAME, &of(&[0.25; 20])).unwrap();
                prop_assert!(codec.decode("emb:1:aa:cc", value.clone()).is_none(), "under another name");
                let mut flipped = value.clone();
                let at = at % flipped.len();
                flipped[at] ^= 1 << bit;
                prop_assert!(codec.decode(NAME, flipped).is_none(), "bit {} of byte {}", bit, at);
                let cut = cut % value.len();
                prop_assert!(codec.decode(NAME, value[..cut].to_vec()).is_none(), "cut to {}", cut);
            }
        }

        #[test]
        fn garbage_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
            for codec in forms() {
                let mut value = garbage.clone();
                prop_assert!(codec.decode(NAME, value.clone()).is_none());
                value.splice(0..value.len().min(2), [VERSION, 0]);
                prop_assert!(codec.decode(NAME, value).is_none());
            }
        }
    }
}
