//! What the operational pages share: times for people, labels, the address as state, the states of a page.

pub mod address;
pub mod age;
pub mod labels;
pub mod page_state;
pub mod promql;
pub mod quantity;
pub mod sparkline;
pub mod time_text;

pub use address::{Address, History};
pub use age::Age;
pub use labels::LabelList;
pub use page_state::{Await, EmptyState};
