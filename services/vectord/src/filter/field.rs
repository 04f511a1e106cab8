//! The index of one path.

use std::mem::size_of;

use memchr::memmem::Finder;
use roaring::RoaringBitmap;
use serde_json::Value;

use super::condition::{Range, Test};
use super::gather::Gather;
use super::postings::Keys;
use super::scalar::{Number, Scalar};
use super::values::Values;

/// Which items have which values at one path.
///
/// Scalars and the elements of lists are indexed alike, because conditions treat them alike. `$contains` is
/// the one that does not, so items with a list are known too.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    present: Keys,
    lists: Keys,
    nulls: Keys,
    truths: [Keys; 2],
    numbers: Values<Number>,
    texts: Values<Box<str>>,
}

impl Field {
    pub(super) fn insert(&mut self, key: u32, value: &Value) {
        self.present.insert(key);
        if value.is_array() {
            self.lists.insert(key);
        }
        for scalar in Scalar::all_of(value) {
            match scalar {
                Scalar::Null => self.nulls.insert(key),
                Scalar::Boolean(truth) => self.truths[usize::from(truth)].insert(key),
                Scalar::Number(number) => self.numbers.insert(&number, key),
                Scalar::Text(text) => self.texts.insert(text, key),
            }
        }
    }

    /// `value` must be the one that was inserted.
    pub(super) fn remove(&mut self, key: u32, value: &Value) {
        self.present.remove(key);
        self.lists.remove(key);
        for scalar in Scalar::all_of(value) {
            match scalar {
                Scalar::Null => self.nulls.remove(key),
                Scalar::Boolean(truth) => self.truths[usize::from(truth)].remove(key),
                Scalar::Number(number) => self.numbers.remove(&number, key),
                Scalar::Text(text) => self.texts.remove(text, key),
            }
        }
    }

    /// Items with a value here.
    pub(super) fn items(&self) -> u64 {
        self.present.bitmap().len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let keys = [&self.present, &self.lists, &self.nulls, &self.truths[0], &self.truths[1]];
        let keys_bytes: usize = keys.into_iter().map(Keys::heap_bytes).sum();
        size_of::<Self>() + keys_bytes + self.numbers.heap_bytes() + self.texts.heap_bytes()
    }

    /// The items of `within` that `test` holds for; others may be among them.
    pub(super) fn matching(&self, test: &Test, within: &RoaringBitmap) -> RoaringBitmap {
        match test {
            Test::Exists => self.present.bitmap().clone(),
            Test::In(wanted) => self.any_of(wanted, within),
            Test::Range(range) => self.range(range, within),
            Test::Contains(wanted) => self.containing(wanted, within),
        }
    }

    fn any_of(&self, wanted: &[Scalar<Box<str>>], within: &RoaringBitmap) -> RoaringBitmap {
        let mut found = Gather::new(within);
        for scalar in wanted {
            let postings = match scalar {
                Scalar::Null => {
                    found.add_all(self.nulls.bitmap());
                    None
                }
                Scalar::Boolean(truth) => {
                    found.add_all(self.truths[usize::from(*truth)].bitmap());
                    None
                }
                Scalar::Number(number) => self.numbers.get(number),
                Scalar::Text(text) => self.texts.get(text),
            };
            postings.into_iter().for_each(|postings| found.add(postings));
        }
        found.finish()
    }

    fn range(&self, range: &Range, within: &RoaringBitmap) -> RoaringBitmap {
        let mut found = self.between(range, within);
        // A list may meet each bound with another element, of which none lies between.
        if let Some((lower, upper)) = range.halves().filter(|_| !self.lists.bitmap().is_empty()) {
            let lists = self.lists.bitmap() & within;
            found |= (self.between(&lower, &lists) & lists) & self.between(&upper, within);
        }
        found
    }

    fn between(&self, range: &Range, within: &RoaringBitmap) -> RoaringBitmap {
        let mut found = Gather::new(within);
        match range {
            Range::Numbers(span) => self.numbers.range(span.bounds()).for_each(|postings| found.add(postings)),
            Range::Texts(span) => self.texts.range(span.bounds()).for_each(|postings| found.add(postings)),
        }
        found.finish()
    }

    fn containing(&self, wanted: &Scalar<Box<str>>, within: &RoaringBitmap) -> RoaringBitmap {
        let elements = self.any_of(std::slice::from_ref(wanted), within) & self.lists.bitmap();
        let Scalar::Text(part) = wanted else { return elements };
        let mut found = Gather::new(within);
        // Made ready once: `str::contains` would do it for each of what may be a million texts.
        let part = Finder::new(part.as_bytes());
        let texts = self.texts.iter().filter(|(text, _)| part.find(text.as_bytes()).is_some());
        texts.for_each(|(_, postings)| found.add(postings));
        (found.finish() - self.lists.bitmap()) | elements
    }
}
