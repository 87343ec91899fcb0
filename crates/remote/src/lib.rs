//! remote_write and remote_read, both ends.
//!
//! - [`mod@write`] sends what the log of the engine holds to another server and survives its outages;
//! - [`receive`] takes what other servers send;
//! - [`read`] asks other servers, and answers them.

mod duration;
mod histogram;
mod proto;
pub mod read;
pub mod receive;
mod snappy;
pub mod write;

pub use duration::ConfigDuration;
pub use read::{ReadClient, RemoteReadConfig};
pub use write::{MetadataConfig, QueueConfig, RemoteWrite, RemoteWriteConfig, RemoteWriteOptions};

/// Something wrong in a section, with the path of the field in it.
pub use http_client::ConfigFault;

/// A name for what the configuration gives none, as Prometheus does: short, and the same as long as the URL is.
fn default_name(url: &str) -> String {
    // FNV-1a: stable over versions, and nobody attacks a name.
    let hash = url
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:06x}", hash & 0xff_ffff)
}
