//! Parquet files that readers take which do not know the total order of floats.
//!
//! Since its version 60 the `parquet` crate declares that columns of floats are in the total order of
//! IEEE 754 (PARQUET-2249), and has no setting for it. To a reader that is older than that order, the
//! declaration is a union without a member: DataFusion, Polars and others refuse the whole file, for
//! a column that they need not even read. So the declaration is changed, in the footer's last bytes,
//! to the order that a column's type defines, which takes as many bytes.
//!
//! What was written as bounds stays: in the order of the type it means the same, as long as no bound
//! is NaN and nothing that is left out of the bounds is. Whoever writes floats has to see to that.

use std::ops::Range;

/// An order that a column's type defines, as Thrift's compact protocol writes it: a union whose first
/// member is an empty struct.
const BY_TYPE: Order = [0x1c, 0x00, 0x00];
/// The total order of IEEE 754, and the order of 96-bit timestamps.
const OTHERS: [Order; 2] = [[0x2c, 0x00, 0x00], [0x3c, 0x00, 0x00]];
type Order = [u8; 3];

const MAGIC: &[u8] = b"PAR1";
/// Thrift's end of a struct, the footer's length, the magic number.
const AFTER_ORDERS_BYTES: usize = 1 + size_of::<u32>() + MAGIC.len();
/// The field of the orders: a list, and the next after the file's author.
const ORDERS_FIELD: u8 = 0x19;
const STRUCT_ELEMENTS: u8 = 0x0c;
/// Elements that a list's first byte can count.
const SHORT_LIST_MAX: usize = 14;

/// These are not the last bytes of a Parquet file, or not of one with so many columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the footer does not end with the orders of {columns} columns")]
pub struct UnknownFooter {
    columns: usize,
}

/// Declares that every column has the order of its type, in a file that ends with `end` and has so many
/// leaf columns.
///
/// # Errors
/// The bytes do not end as `parquet` writes a footer, or the orders of the columns are not whole in
/// them; they are left as they are.
pub fn by_type(end: &mut [u8], columns: usize) -> Result<(), UnknownFooter> {
    let orders = declared(end, columns).ok_or(UnknownFooter { columns })?;
    end[orders].as_chunks_mut().0.fill(BY_TYPE);
    Ok(())
}

/// Where the orders are.
fn declared(end: &[u8], columns: usize) -> Option<Range<usize>> {
    let last = end.len().checked_sub(AFTER_ORDERS_BYTES)?;
    let first = last.checked_sub(columns.checked_mul(size_of::<Order>())?)?;
    let (before, orders, after) = (&end[..first], end[first..last].as_chunks().0, &end[last..]);
    let is_field = before.strip_suffix(list_header(columns).as_slice())?.ends_with(&[ORDERS_FIELD]);
    let are_orders = orders.iter().all(|order| *order == BY_TYPE || OTHERS.contains(order));
    let is_end = after.starts_with(&[0]) && after.ends_with(MAGIC);
    (is_field && are_orders && is_end).then_some(first..last)
}

/// How a list of so many structs begins.
fn list_header(length: usize) -> Vec<u8> {
    if length <= SHORT_LIST_MAX {
        return vec![(length as u8) << 4 | STRUCT_ELEMENTS];
    }
    let (mut header, mut rest) = (vec![0xf0 | STRUCT_ELEMENTS], length);
    while rest > 0x7f {
        header.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    header.push(rest as u8);
    header
}
