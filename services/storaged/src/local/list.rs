//! Listing in key order, with memory for a page and no more.
//!
//! A directory's entries come in no order. Each scan keeps the smallest that still fit in the
//! page; where there were more and the page has room after all (folders may be empty), the next
//! scan goes on behind them. So a page costs a scan of each directory on its way and memory for
//! its own entries, however many there are.

use std::collections::BinaryHeap;
use std::fs;
use std::path::Path;

use super::layout::{self, Entry};
use super::{Files, is_absence};
use crate::key::ObjectKey;
use crate::store::{ListQuery, ObjectMeta, Page};
use crate::{Error, cursor};

const BACKEND: char = 'l';

/// A directory entry, ordered as the keys it stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// What it adds to the key.
    text: String,
    kind: Kind,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Object,
    Folder,
    Continued,
}

enum Found {
    Object(ObjectMeta),
    Prefix(String),
}

impl Found {
    fn text(&self) -> &str {
        match self {
            Found::Object(meta) => meta.key.as_str(),
            Found::Prefix(text) => text,
        }
    }
}

struct Walk<'a> {
    files: &'a Files,
    query: &'a ListQuery,
    /// The last entry of the page before: a key, or a rolled-up prefix, which ends in `/`.
    after: Option<String>,
    found: Vec<Found>,
}

impl Files {
    pub(super) fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let after = query.cursor.as_deref().map(|raw| cursor::decode(BACKEND, raw)).transpose()?;
        let mut walk = Walk { files: self, query, after, found: Vec::new() };
        if query.prefix.is_possible() {
            let folder = query.prefix.folder();
            walk.walk(&layout::folder_path(&self.directory.objects, folder), folder)?;
        }
        Ok(walk.into_page())
    }
}

impl Walk<'_> {
    /// One more than the page takes shows that there is a next page.
    fn room(&self) -> usize {
        (self.query.limit + 1).saturating_sub(self.found.len())
    }

    fn walk(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let mut floor = None;
        loop {
            let (candidates, are_all) = self.scan(path, text, floor.as_ref())?;
            for candidate in &candidates {
                self.visit(path, text, candidate)?;
                if self.room() == 0 {
                    return Ok(());
                }
            }
            if are_all {
                return Ok(());
            }
            floor = candidates.into_iter().next_back();
        }
    }

    /// The smallest entries above `floor` that matter, in order, and whether they are all.
    fn scan(&self, path: &Path, text: &str, floor: Option<&Candidate>) -> Result<(Vec<Candidate>, bool), Error> {
        let failed = |error| Error::disk("list a folder", error);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok((Vec::new(), true)),
            Err(error) => return Err(failed(error)),
        };
        let room = self.room();
        let (mut smallest, mut are_all) = (BinaryHeap::new(), true);
        for entry in entries {
            let Some(candidate) = candidate(&entry.map_err(failed)?) else { continue };
            let is_beyond = smallest.len() >= room && smallest.peek().is_some_and(|largest| candidate > *largest);
            if floor.is_some_and(|floor| candidate <= *floor) || !self.matters(text, &candidate) {
                continue;
            }
            if is_beyond {
                are_all = false;
                continue;
            }
            smallest.push(candidate);
            if smallest.len() > room {
                smallest.pop();
                are_all = false;
            }
        }
        Ok((smallest.into_sorted_vec(), are_all))
    }

    /// Whether anything that the entry stands for starts with the prefix and comes after the
    /// page before.
    fn matters(&self, text: &str, candidate: &Candidate) -> bool {
        let (full, prefix) = (format!("{text}{}", candidate.text), self.query.prefix.as_str());
        let is_object = candidate.kind == Kind::Object;
        if !(full.starts_with(prefix) || (!is_object && prefix.starts_with(&full))) {
            return false;
        }
        let Some(after) = &self.after else { return true };
        if after.ends_with('/') && full.starts_with(after.as_str()) {
            return false;
        }
        full > *after || (!is_object && after.starts_with(&full))
    }

    fn visit(&mut self, path: &Path, text: &str, candidate: &Candidate) -> Result<(), Error> {
        let (path, full) = (path.join(&candidate.name), format!("{text}{}", candidate.text));
        match candidate.kind {
            Kind::Object => {
                // A file that somebody else put there is no object.
                let Some(key) = ObjectKey::found(&full) else { return Ok(()) };
                match self.files.meta(&key) {
                    Ok(meta) => self.found.push(Found::Object(meta)),
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Kind::Folder if self.query.by_folder && full.starts_with(self.query.prefix.as_str()) => {
                let is_new = self.after.as_ref().is_none_or(|after| full > *after);
                if is_new && has_object(&path)? {
                    self.found.push(Found::Prefix(full));
                }
            }
            Kind::Folder | Kind::Continued => self.walk(&path, &full)?,
        }
        Ok(())
    }

    fn into_page(mut self) -> Page {
        let mut page = Page::default();
        if self.found.len() > self.query.limit {
            self.found.truncate(self.query.limit);
            page.next_cursor = self.found.last().map(|last| cursor::encode(BACKEND, last.text()));
        }
        for found in self.found {
            match found {
                Found::Object(meta) => page.objects.push(meta),
                Found::Prefix(text) => page.prefixes.push(text),
            }
        }
        page
    }
}

fn candidate(entry: &fs::DirEntry) -> Option<Candidate> {
    let name = entry.file_name().into_string().ok()?;
    let (kind, text) = match layout::entry(&name)? {
        Entry::Object(text) => (Kind::Object, text),
        Entry::Folder(text) => (Kind::Folder, text),
        Entry::Continued(text) => (Kind::Continued, text),
    };
    Some(Candidate { text, kind, name })
}

/// Whether any object lies below: a folder that a write has made and not used yet shows nowhere.
fn has_object(path: &Path) -> Result<bool, Error> {
    let failed = |error| Error::disk("list a folder", error);
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        match candidate(&entry).map(|candidate| candidate.kind) {
            Some(Kind::Object) => return Ok(true),
            Some(Kind::Folder | Kind::Continued) if has_object(&entry.path())? => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}
