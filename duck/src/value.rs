//! Values for parameters.

/// A value to bind to a parameter.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    HugeInt(i128),
    Double(f64),
    Text(String),
    Blob(Vec<u8>),
    /// `value / 10^scale`, of at most `width` digits (38).
    Decimal {
        value: i128,
        width: u8,
        scale: u8,
    },
}
