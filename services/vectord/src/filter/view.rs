//! What filters are answered from, as it was at one moment.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Filter;
use super::condition::Node;
use super::field::Field;
use super::path::Path;

/// The indexed paths of one filter. Changes that come after leave it as it was: what they touch is copied
/// first. So a filter is evaluated without a lock.
#[derive(Debug)]
pub(crate) struct View {
    /// Of [`Filter::paths`], in their order.
    fields: Vec<Arc<Field>>,
}

impl View {
    pub(super) fn new(fields: Vec<Arc<Field>>) -> Self {
        Self { fields }
    }

    /// The keys in `live` of the items that `filter` matches, exactly. It must be the view's own.
    pub(crate) fn matching(&self, filter: &Filter, live: &RoaringBitmap) -> RoaringBitmap {
        self.evaluate(filter.paths(), &filter.root, live)
    }

    /// The items of `within` that `node` matches.
    fn evaluate(&self, paths: &[Path], node: &Node, within: &RoaringBitmap) -> RoaringBitmap {
        match node {
            Node::All(nodes) => {
                let mut kept: Option<RoaringBitmap> = None;
                for node in nodes {
                    let within = kept.as_ref().unwrap_or(within);
                    if within.is_empty() {
                        break;
                    }
                    kept = Some(self.evaluate(paths, node, within));
                }
                kept.unwrap_or_else(|| within.clone())
            }
            Node::Any(nodes) => {
                let mut found = RoaringBitmap::new();
                for node in nodes {
                    found |= self.evaluate(paths, node, within);
                }
                found
            }
            Node::Not(node) => within - self.evaluate(paths, node, within),
            Node::Test(path, test) => {
                let field = paths.binary_search(path).ok().and_then(|at| self.fields.get(at));
                field.map(|field| field.matching(test, within) & within).unwrap_or_default()
            }
        }
    }
}
