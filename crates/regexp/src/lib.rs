//! Go's regular expressions (RE2 syntax), as every configuration file of this field uses them.

mod cache;
mod exact;
mod matcher;
mod parse;
mod pattern;

pub use matcher::LabelMatcher;
pub use pattern::{Regexp, RegexpError};
