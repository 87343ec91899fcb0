//! What the operational pages share: loading that repeats, times for people, labels, the states of a page.

pub mod address;
pub mod age;
pub mod labels;
pub mod page_state;
pub mod polled;
pub mod time_text;

pub use address::Address;
pub use age::{Age, Clock};
pub use labels::{LabelList, Pair};
pub use page_state::{ErrorState, Skeleton, StaleNote};
pub use polled::{Polled, use_polled};
