//! DuckDB's logical types, as values of ours.
#![allow(unsafe_code)]

use std::fmt;

use libduckdb_sys as ffi;

use crate::identifier::{identifier, quote_literal};
use crate::text::taken;

/// A logical type of DuckDB. Its `Display` is how DuckDB itself writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are DuckDB's")]
pub enum Type {
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    HugeInt,
    UHugeInt,
    Float,
    Double,
    Decimal {
        width: u8,
        scale: u8,
    },
    Varchar,
    Blob,
    Bit,
    BigNum,
    Uuid,
    Date,
    Time,
    TimeNs,
    TimeTz,
    Timestamp,
    TimestampS,
    TimestampMs,
    TimestampNs,
    TimestampTz,
    Interval,
    Enum(Vec<String>),
    List(Box<Type>),
    Array(Box<Type>, u64),
    Struct(Vec<Member>),
    Map(Box<Type>, Box<Type>),
    Union(Vec<Member>),
    Geometry,
    Variant,
    Null,
    /// A type with a name of its own over another: JSON over VARCHAR.
    Named(String, Box<Type>),
    /// One that this crate does not know.
    Other,
}

/// A field of a STRUCT or a member of a UNION.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Empty in an unnamed STRUCT (a row).
    pub name: String,
    /// Its type.
    pub logical_type: Type,
}

impl Type {
    /// Without a name of its own: VARCHAR for JSON.
    pub fn storage(&self) -> &Type {
        match self {
            Type::Named(_, inner) => inner.storage(),
            other => other,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Type::Boolean => "BOOLEAN",
            Type::TinyInt => "TINYINT",
            Type::SmallInt => "SMALLINT",
            Type::Integer => "INTEGER",
            Type::BigInt => "BIGINT",
            Type::UTinyInt => "UTINYINT",
            Type::USmallInt => "USMALLINT",
            Type::UInteger => "UINTEGER",
            Type::UBigInt => "UBIGINT",
            Type::HugeInt => "HUGEINT",
            Type::UHugeInt => "UHUGEINT",
            Type::Float => "FLOAT",
            Type::Double => "DOUBLE",
            Type::Varchar => "VARCHAR",
            Type::Blob => "BLOB",
            Type::Bit => "BIT",
            Type::BigNum => "BIGNUM",
            Type::Uuid => "UUID",
            Type::Date => "DATE",
            Type::Time => "TIME",
            Type::TimeNs => "TIME_NS",
            Type::TimeTz => "TIME WITH TIME ZONE",
            Type::Timestamp => "TIMESTAMP",
            Type::TimestampS => "TIMESTAMP_S",
            Type::TimestampMs => "TIMESTAMP_MS",
            Type::TimestampNs => "TIMESTAMP_NS",
            Type::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            Type::Interval => "INTERVAL",
            Type::Geometry => "GEOMETRY",
            Type::Variant => "VARIANT",
            Type::Null => "\"NULL\"",
            Type::Other => "UNKNOWN",
            Type::Named(name, _) => name,
            Type::Decimal { width, scale } => return write!(f, "DECIMAL({width},{scale})"),
            Type::List(child) => return write!(f, "{child}[]"),
            Type::Array(child, size) => return write!(f, "{child}[{size}]"),
            Type::Map(key, value) => return write!(f, "MAP({key}, {value})"),
            Type::Struct(members) => return write_members(f, "STRUCT", members),
            Type::Union(members) => return write_members(f, "UNION", members),
            Type::Enum(values) => return write_enum(f, values),
        };
        f.write_str(name)
    }
}

fn write_members(f: &mut fmt::Formatter<'_>, name: &str, members: &[Member]) -> fmt::Result {
    write!(f, "{name}(")?;
    for (index, member) in members.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        match member.name.as_str() {
            "" => write!(f, "{comma}{}", member.logical_type)?,
            name => write!(f, "{comma}{} {}", identifier(name), member.logical_type)?,
        }
    }
    f.write_str(")")
}

fn write_enum(f: &mut fmt::Formatter<'_>, values: &[String]) -> fmt::Result {
    f.write_str("ENUM(")?;
    for (index, value) in values.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{}", quote_literal(value))?;
    }
    f.write_str(")")
}

/// An owned `duckdb_logical_type`.
pub(crate) struct LogicalType(ffi::duckdb_logical_type);

impl Drop for LogicalType {
    fn drop(&mut self) {
        // SAFETY: given to us by DuckDB to destroy (null is allowed), destroyed once, here.
        unsafe { ffi::duckdb_destroy_logical_type(&mut self.0) }
    }
}

impl LogicalType {
    /// Takes over a type that DuckDB gave us to destroy.
    pub(crate) fn new(raw: ffi::duckdb_logical_type) -> Self {
        LogicalType(raw)
    }

    /// A type without parameters.
    pub(crate) fn of(id: ffi::duckdb_type) -> Self {
        // SAFETY: the new type is ours to destroy.
        LogicalType(unsafe { ffi::duckdb_create_logical_type(id) })
    }

    /// Lists of this.
    pub(crate) fn list(&self) -> Self {
        // SAFETY: a live type, which is copied; the new one is ours to destroy.
        LogicalType(unsafe { ffi::duckdb_create_list_type(self.0) })
    }

    pub(crate) fn raw(&self) -> ffi::duckdb_logical_type {
        self.0
    }

    /// As a value of ours.
    pub(crate) fn describe(&self) -> Type {
        // SAFETY: a live type; the alias is ours to free.
        match unsafe { taken(ffi::duckdb_logical_type_get_alias(self.0)) } {
            Some(alias) if !alias.is_empty() => Type::Named(alias, Box::new(self.without_alias())),
            _ => self.without_alias(),
        }
    }

    fn without_alias(&self) -> Type {
        // SAFETY: a live type.
        match unsafe { ffi::duckdb_get_type_id(self.0) } {
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
                // SAFETY: a DECIMAL, as these want it.
                unsafe {
                    Type::Decimal { width: ffi::duckdb_decimal_width(self.0), scale: ffi::duckdb_decimal_scale(self.0) }
                }
            }
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_ENUM => self.describe_enum(),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => self.describe_struct(),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_UNION => self.describe_union(),
            // SAFETY: a LIST; the child is ours.
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST => Type::List(child(unsafe { ffi::duckdb_list_type_child_type(self.0) })),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
                // SAFETY: an ARRAY; the child is ours.
                let (inner, size) =
                    unsafe { (ffi::duckdb_array_type_child_type(self.0), ffi::duckdb_array_type_array_size(self.0)) };
                Type::Array(child(inner), size)
            }
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_MAP => {
                // SAFETY: a MAP; both children are ours.
                let (key, value) =
                    unsafe { (ffi::duckdb_map_type_key_type(self.0), ffi::duckdb_map_type_value_type(self.0)) };
                Type::Map(child(key), child(value))
            }
            plain => of_plain(plain),
        }
    }

    fn describe_enum(&self) -> Type {
        // SAFETY: an ENUM; every index is below its size; the strings are ours.
        let values = unsafe {
            let size = ffi::duckdb_enum_dictionary_size(self.0);
            (0..size)
                .map(|i| taken(ffi::duckdb_enum_dictionary_value(self.0, ffi::idx_t::from(i))).unwrap_or_default())
                .collect()
        };
        Type::Enum(values)
    }

    fn describe_struct(&self) -> Type {
        // SAFETY: a STRUCT; every index is below its count; names and types are ours.
        let members = unsafe {
            let count = ffi::duckdb_struct_type_child_count(self.0);
            (0..count)
                .map(|i| Member {
                    name: taken(ffi::duckdb_struct_type_child_name(self.0, i)).unwrap_or_default(),
                    logical_type: *child(ffi::duckdb_struct_type_child_type(self.0, i)),
                })
                .collect()
        };
        Type::Struct(members)
    }

    fn describe_union(&self) -> Type {
        // SAFETY: a UNION; every index is below its count; names and types are ours.
        let members = unsafe {
            let count = ffi::duckdb_union_type_member_count(self.0);
            (0..count)
                .map(|i| Member {
                    name: taken(ffi::duckdb_union_type_member_name(self.0, i)).unwrap_or_default(),
                    logical_type: *child(ffi::duckdb_union_type_member_type(self.0, i)),
                })
                .collect()
        };
        Type::Union(members)
    }
}

/// Takes over a child type that DuckDB gave us to destroy.
fn child(raw: ffi::duckdb_logical_type) -> Box<Type> {
    Box::new(LogicalType(raw).describe())
}

fn of_plain(id: ffi::DUCKDB_TYPE) -> Type {
    match id {
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => Type::Boolean,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => Type::TinyInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Type::SmallInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Type::Integer,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Type::BigInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => Type::UTinyInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => Type::USmallInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => Type::UInteger,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => Type::UBigInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => Type::HugeInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UHUGEINT => Type::UHugeInt,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => Type::Float,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => Type::Double,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => Type::Varchar,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => Type::Blob,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIT => Type::Bit,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGNUM => Type::BigNum,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UUID => Type::Uuid,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE => Type::Date,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME => Type::Time,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME_NS => Type::TimeNs,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME_TZ => Type::TimeTz,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => Type::Timestamp,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_S => Type::TimestampS,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_MS => Type::TimestampMs,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS => Type::TimestampNs,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => Type::TimestampTz,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL => Type::Interval,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_GEOMETRY => Type::Geometry,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARIANT => Type::Variant,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL => Type::Null,
        _ => Type::Other,
    }
}
