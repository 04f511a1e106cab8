//! The layout of all matrices here: panels of [`PANEL`] columns.
//!
//! A panel has its columns of all rows, one row after another, so that a product's inner loop reads all it needs
//! from beside each other, and the threads that share a product write a panel each.

/// Columns of a panel.
pub(super) const PANEL: usize = 32;

/// A row within a panel: one or more whole registers of any processor, and whole cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [f32; PANEL]);

impl Line {
    pub(super) const ZERO: Self = Self([0.0; PANEL]);
}

/// Columns in `groups` of `width`. A group has panels of its own; what they have beyond it is zero.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) groups: usize,
    pub(super) width: usize,
}

impl Columns {
    pub(super) fn one_group(width: usize) -> Self {
        Self { groups: 1, width }
    }

    pub(super) fn panels(self) -> usize {
        self.groups * self.panels_of_group()
    }

    pub(super) fn panels_of_group(self) -> usize {
        self.width.div_ceil(PANEL)
    }

    /// All of a row's values, as lines.
    pub(super) fn lines(self, row: &[f32]) -> Vec<Line> {
        let mut lines = vec![Line::ZERO; self.panels()];
        for (value, (panel, at)) in row.iter().zip(self.places()) {
            lines[panel].0[at] = *value;
        }
        lines
    }

    /// The panel of each column, and its place in it.
    pub(super) fn places(self) -> impl Iterator<Item = (usize, usize)> {
        let group =
            move |number| (0..self.width).map(move |at| (number * self.panels_of_group() + at / PANEL, at % PANEL));
        (0..self.groups).flat_map(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_groups_have_panels_of_their_own() {
        let columns = Columns { groups: 2, width: PANEL + 1 };
        let places: Vec<_> = columns.places().collect();
        assert_eq!(places.len(), 2 * (PANEL + 1));
        assert_eq!(places[..2], [(0, 0), (0, 1)]);
        assert_eq!(places[PANEL..][..2], [(1, 0), (2, 0)]);
        assert_eq!((columns.panels(), places.last()), (4, Some(&(3, 0))));
    }
}
