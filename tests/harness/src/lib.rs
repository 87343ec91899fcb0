//! What tests against real programs need: free ports, processes that end with the test, an HTTP client,
//! sinks for webhooks and mail, and waiting without sleeping blindly.

pub mod http;
pub mod peers;
pub mod process;
pub mod sink;
pub mod vigie;
pub mod wait;

pub use peers::{peer, shared};
pub use process::{Program, free_port};
pub use vigie::Vigie;
pub use wait::until;
