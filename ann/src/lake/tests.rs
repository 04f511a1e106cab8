//! What only this engine promises: its graph's health, and searches that wait for nobody.

use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;

use super::*;
use crate::Vector;
use crate::tests::*;

mod concurrent;
mod graph_health;
