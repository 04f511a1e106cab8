//! The product of rows with a matrix's panel, in registers.
//!
//! As in BLIS (Van Zee, van de Geijn, doi 10.1145/2764454): a tile of the result stays in registers for the whole
//! depth, two of them for each of its rows. A row's values are the same additions in the same order, however rows
//! are tiled.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::activation::activate;
use super::panels::{Line, PANEL};
use crate::architecture::Activation;

/// Registers of a tile's row.
const ROW_REGISTERS: usize = 2;
/// Rows of a tile where a processor has 32 registers: all but four are sums.
pub(super) const TILE_ROWS: usize = 14;
/// The same for AVX2's 16.
const TILE_ROWS_AVX2: usize = 6;
const AVX2_LANES: usize = 8;

/// `output = activation(input × matrix + bias)`, or `output += input × matrix + bias`.
pub(super) struct Product<'a> {
    /// Panels of which each has `rows` lines; the product is of the first ones, as many as `output` has.
    pub(super) input: &'a [Line],
    pub(super) rows: usize,
    /// A panel: a line for each of the input's columns.
    pub(super) matrix: &'a [Line],
    pub(super) bias: &'a Line,
    /// A panel.
    pub(super) output: &'a mut [Line],
    pub(super) then: Then,
}

/// What becomes of a product with its bias.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Store,
    Add,
    Activate(Activation),
}

impl SimdOp for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { mut input, rows, matrix, bias, mut output, then } = self;
        let most = if isa.f32().len() == AVX2_LANES { TILE_ROWS_AVX2 } else { TILE_ROWS };
        // Tiles of like heights: a low one has too few sums to keep the processor busy.
        for tiles_left in (1..=output.len().div_ceil(most)).rev() {
            let (tile, below) = output.split_at_mut(output.len().div_ceil(tiles_left));
            let factors = Factors { input, rows, matrix, bias };
            factors.multiply(isa, tile, matches!(then, Then::Add));
            if let Then::Activate(activation) = then {
                activate(isa, activation, tile);
            }
            input = &input[tile.len()..];
            output = below;
        }
    }
}

#[derive(Clone, Copy)]
struct Factors<'a> {
    input: &'a [Line],
    rows: usize,
    matrix: &'a [Line],
    bias: &'a Line,
}

impl Factors<'_> {
    #[inline(always)]
    fn multiply<I: Isa>(self, isa: I, tile: &mut [Line], add: bool) {
        match tile.len() {
            1 => self.tile::<I, 1>(isa, tile, add),
            2 => self.tile::<I, 2>(isa, tile, add),
            3 => self.tile::<I, 3>(isa, tile, add),
            4 => self.tile::<I, 4>(isa, tile, add),
            5 => self.tile::<I, 5>(isa, tile, add),
            6 => self.tile::<I, 6>(isa, tile, add),
            7 => self.tile::<I, 7>(isa, tile, add),
            8 => self.tile::<I, 8>(isa, tile, add),
            9 => self.tile::<I, 9>(isa, tile, add),
            10 => self.tile::<I, 10>(isa, tile, add),
            11 => self.tile::<I, 11>(isa, tile, add),
            12 => self.tile::<I, 12>(isa, tile, add),
            13 => self.tile::<I, 13>(isa, tile, add),
            14 => self.tile::<I, 14>(isa, tile, add),
            rows => unreachable!("a tile of {rows} rows"),
        }
    }

    #[inline(always)]
    fn tile<I: Isa, const ROWS: usize>(self, isa: I, tile: &mut [Line], add: bool) {
        let ops = isa.f32();
        let tile: &mut [Line; ROWS] = tile.try_into().expect("the caller asks for as many rows as there are");
        for at in (0..PANEL).step_by(ROW_REGISTERS * ops.len()) {
            let registers = |line: &Line| -> [I::F32; ROW_REGISTERS] {
                std::array::from_fn(|register| ops.load(&line.0[at + register * ops.len()..]))
            };
            let mut sums = [registers(self.bias); ROWS];
            if add {
                for (sums, line) in sums.iter_mut().zip(&*tile) {
                    let line = registers(line);
                    for (sum, value) in sums.iter_mut().zip(line) {
                        *sum = ops.add(*sum, value);
                    }
                }
            }
            for (depth, panel) in self.matrix.chunks(PANEL).zip(self.input.chunks(self.rows)) {
                let rows: &[Line; ROWS] = panel.first_chunk().expect("the input has the rows of the output");
                for (column, weights) in depth.iter().enumerate() {
                    // Weights come from beyond the caches, and who has few rows is soon done with them.
                    let ahead = std::ptr::from_ref(weights).wrapping_add(PANEL).cast::<f32>();
                    ops.prefetch(ahead);
                    ops.prefetch(ahead.wrapping_add(PANEL / 2));
                    let weights = registers(weights);
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let factor = ops.splat(row.0[column % PANEL]);
                        for (sum, weights) in sums.iter_mut().zip(weights) {
                            *sum = ops.mul_add(factor, weights, *sum);
                        }
                    }
                }
            }
            for (line, sums) in tile.iter_mut().zip(sums) {
                for (register, sum) in sums.into_iter().enumerate() {
                    ops.store(sum, &mut line.0[at + register * ops.len()..]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rten_simd::isa::GenericIsa;

    use super::*;

    /// Rows of the input, of which the product takes those from [`FIRST`] on; its columns fill a panel and a half.
    const ROWS: usize = 40;
    const FIRST: usize = 3;
    const DEPTH: usize = PANEL + 16;

    struct Case {
        input: Vec<Line>,
        matrix: Vec<Line>,
        bias: Line,
        output: Vec<Line>,
    }

    impl Case {
        fn new(rows: usize) -> Self {
            let mut state = 1_u32;
            let mut value = move || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / u32::MAX as f32 - 0.5
            };
            let mut lines = |count: usize| (0..count).map(|_| Line(std::array::from_fn(|_| value()))).collect();
            let (input, matrix): (_, Vec<Line>) = (lines(DEPTH.div_ceil(PANEL) * ROWS), lines(DEPTH));
            Self { input, matrix, bias: Line([0.25; PANEL]), output: lines(rows) }
        }

        fn product(&mut self, then: Then) -> Product<'_> {
            let Self { input, matrix, bias, output } = self;
            Product { input: &input[FIRST..], rows: ROWS, matrix, bias, output, then }
        }

        fn exact(&self, row: usize, column: usize) -> f64 {
            let terms = self.matrix.iter().enumerate().map(|(at, weights)| {
                let value = self.input[at / PANEL * ROWS + FIRST + row].0[at % PANEL];
                f64::from(value) * f64::from(weights.0[column])
            });
            terms.sum::<f64>() + f64::from(self.bias.0[column])
        }
    }

    /// By every instruction set that this processor has, with its own tiles.
    fn by_all(rows: usize, then: Then) -> Vec<Vec<Line>> {
        fn by(isa: impl Isa, rows: usize, then: Then) -> Vec<Line> {
            let mut case = Case::new(rows);
            case.product(then).eval(isa);
            case.output
        }
        #[allow(unused_mut)]
        let mut outputs = vec![by(GenericIsa::new(), rows, then)];
        #[cfg(target_arch = "x86_64")]
        {
            use rten_simd::isa::{Avx2Isa, Avx512Isa};
            outputs.extend(Avx2Isa::new().map(|isa| by(isa, rows, then)));
            outputs.extend(Avx512Isa::new().map(|isa| by(isa, rows, then)));
        }
        let mut case = Case::new(rows);
        case.product(then).dispatch();
        outputs.push(case.output);
        outputs
    }

    #[test]
    fn it_is_as_in_float64_for_tiles_of_all_heights() {
        for rows in 1..=ROWS - FIRST {
            let case = Case::new(rows);
            for then in [Then::Store, Then::Add, Then::Activate(Activation::Relu)] {
                for output in by_all(rows, then) {
                    for (row, (line, before)) in output.iter().zip(&case.output).enumerate() {
                        for column in 0..PANEL {
                            let exact = match then {
                                Then::Store => case.exact(row, column),
                                Then::Add => case.exact(row, column) + f64::from(before.0[column]),
                                Then::Activate(_) => case.exact(row, column).max(0.0),
                            };
                            let off = (f64::from(line.0[column]) - exact).abs();
                            assert!(off < 1e-5, "{rows} rows, row {row}, column {column}: {exact}, off by {off}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_however_many_there_are() {
        let outputs_of_all = by_all(ROWS - FIRST, Then::Store);
        for rows in 1..ROWS - FIRST {
            for (output, of_all) in by_all(rows, Then::Store).iter().zip(&outputs_of_all) {
                for (line, expected) in output.iter().zip(of_all) {
                    assert_eq!(line.0.map(f32::to_bits), expected.0.map(f32::to_bits), "{rows} rows");
                }
            }
        }
    }
}
