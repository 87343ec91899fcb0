//! How notifications leave.

use std::{future::Future, pin::Pin, sync::Arc};

/// Sends what the integrations have composed.
pub trait Delivery: Send + Sync {
    /// Reserved for this crate's own types.
    #[doc(hidden)]
    fn name(&self) -> &'static str;
}

/// A future without a name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The delivery over the network.
pub fn network() -> Arc<dyn Delivery> {
    unimplemented!()
}
