//! Where in the directory an object lies: an injective map from keys to paths.
//!
//! A component of a key that is a folder becomes a directory whose name ends in `+`; the last one
//! becomes a file whose name does not. So `a` and `a/b` can both exist: `a` and `a+/b`. In a name
//! `%` is written `%25`; where a file's name would end in `+`, that is written `%2B`; a file's
//! name that is `.` or `..` has its dots written `%2E`.
//!
//! File systems take 255 bytes a name, keys 1,024 a component. A component's text (with its `/`,
//! where it is a folder) that goes on after [`PIECE_BYTES`] continues in a directory named after
//! the piece with `%+` behind, which no escaped name ends in. As the cut depends on nothing but
//! the text before it, all that starts with a piece lies below its directory, and the order of
//! keys is that of a walk.

use std::path::{Path, PathBuf};

/// Where a piece of a long component ends, give or take a character.
const PIECE_BYTES: usize = 200;
/// What a directory's name ends in that continues a component.
const CONTINUED: &str = "%+";

/// What the name of a directory entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// The last piece of a key.
    Object(String),
    /// The end of a component that goes on with `/`: its text with the `/`.
    Folder(String),
    /// A piece of a component that goes on.
    Continued(String),
}

impl Entry {
    /// The part of the key that it adds.
    #[cfg(test)]
    fn text(&self) -> &str {
        match self {
            Entry::Object(text) | Entry::Folder(text) | Entry::Continued(text) => text,
        }
    }
}

/// The path of the object `key` below `root`.
pub(super) fn object_path(root: &Path, key: &str) -> PathBuf {
    path(root, key)
}

/// The directory of all that starts with `folder`, which is empty or ends in `/`.
pub(super) fn folder_path(root: &Path, folder: &str) -> PathBuf {
    path(root, folder)
}

fn path(root: &Path, text: &str) -> PathBuf {
    let mut path = root.as_os_str().to_owned();
    for component in text.split_inclusive('/') {
        let mut rest = component;
        while let Some(cut) = cut(rest) {
            path.push("/");
            path.push(escaped(&rest[..cut]));
            path.push(CONTINUED);
            rest = &rest[cut..];
        }
        path.push("/");
        match rest.strip_suffix('/') {
            Some(name) => {
                path.push(escaped(name));
                path.push("+");
            }
            None => path.push(file_name(rest)),
        }
    }
    path.into()
}

/// Where the first piece of `text` ends, if it goes on after that.
fn cut(text: &str) -> Option<usize> {
    let mut cost = 0;
    for (at, character) in text.char_indices() {
        if cost >= PIECE_BYTES {
            return Some(at);
        }
        cost += if character == '%' { 3 } else { character.len_utf8() };
    }
    None
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
}

fn file_name(text: &str) -> String {
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => match escaped(text).strip_suffix('+') {
            Some(name) => format!("{name}%2B"),
            None => escaped(text),
        },
    }
}

/// What the name of a directory entry stands for; `None` for one that is not ours.
pub(super) fn entry(name: &str) -> Option<Entry> {
    if let Some(piece) = name.strip_suffix(CONTINUED) {
        return unescaped(piece).map(Entry::Continued);
    }
    match name.strip_suffix('+') {
        Some(folder) => unescaped(folder).map(|text| Entry::Folder(text + "/")),
        None => unescaped(name).map(Entry::Object),
    }
}

fn unescaped(name: &str) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut pieces = name.split('%');
    text.push_str(pieces.next()?);
    for piece in pieces {
        let (escape, rest) = piece.split_at_checked(2)?;
        text.push(match escape {
            "25" => '%',
            "2B" => '+',
            "2E" => '.',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ObjectKey;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn relative(key: &str) -> String {
        object_path(Path::new("/r"), key).to_str().unwrap().strip_prefix("/r/").unwrap().to_owned()
    }

    /// Back from a path to the key.
    fn key_of(path: &str) -> String {
        path.split('/').map(|name| entry(name).unwrap().text().to_owned()).collect()
    }

    #[test]
    fn the_layout_is_as_documented() {
        assert_eq!(relative("datasets/1/x.parquet"), "datasets+/1+/x.parquet");
        assert_eq!(relative("a"), "a");
        assert_eq!(relative("a/b"), "a+/b");
        assert_eq!(relative("a+"), "a%2B");
        assert_eq!(relative("a+/b+/100%"), "a++/b++/100%25");
        let long = "x".repeat(201);
        assert_eq!(relative(&long), format!("{}%+/x", "x".repeat(200)));
        assert_eq!(relative(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(relative(&format!("{}/b", "x".repeat(200))), format!("{}%+/+/b", "x".repeat(200)));
        assert_eq!(relative(&format!("{}..", "x".repeat(200))), format!("{}%+/%2E%2E", "x".repeat(200)));
        assert_eq!(folder_path(Path::new("/r"), "user/"), Path::new("/r/user+"));
        assert_eq!(folder_path(Path::new("/r"), ""), Path::new("/r"));
    }

    fn key() -> impl Strategy<Value = String> {
        let component = prop_oneof![
            4 => "[a+%.!/-]{1,4}",
            1 => "[%+.é日a]{190,260}",
            1 => Just("x".repeat(200)),
            1 => "x{198,204}[+./!]{0,3}",
        ];
        prop::collection::vec(component, 1..4)
            .prop_map(|components| components.join("/"))
            .prop_filter("a valid key", |key| ObjectKey::parse(key).is_ok())
    }

    proptest! {
        #[test]
        fn paths_lead_back_to_keys(key in key()) {
            let path = relative(&key);
            prop_assert_eq!(key_of(&path), key);
            for name in path.split('/') {
                prop_assert!(name.len() <= 255 && name != "." && name != "..");
            }
            let (folders, file) = path.rsplit_once('/').unwrap_or(("", &path));
            prop_assert!(!file.ends_with('+'));
            prop_assert!(folders.is_empty() || folders.split('/').all(|name| name.ends_with('+')));
        }

        /// Siblings sorted by their text, objects before directories, give keys in byte order.
        #[test]
        fn a_walk_goes_in_key_order(keys in prop::collection::btree_set(key(), 1..20)) {
            let mut tree: BTreeMap<Vec<(String, bool)>, String> = BTreeMap::new();
            for key in &keys {
                let path = relative(key);
                let names: Vec<&str> = path.split('/').collect();
                let place = names.iter().map(|name| {
                    let entry = entry(name).unwrap();
                    (entry.text().to_owned(), !matches!(entry, Entry::Object(_)))
                });
                tree.insert(place.collect(), key.clone());
            }
            let walked: Vec<&String> = tree.values().collect();
            prop_assert_eq!(walked, keys.iter().collect::<Vec<_>>());
        }

        #[test]
        fn foreign_names_do_not_panic(name in ".{0,20}") {
            let _ = entry(&name);
        }
    }
}
