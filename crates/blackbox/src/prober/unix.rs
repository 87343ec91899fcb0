//! `unix`: as `tcp`, over a socket file.

use super::{query_response::QueryResponse, tcp};
use crate::{probe::Run, values::is_false};
use http_client::TlsConfig;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnixProbe {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_response: Vec<QueryResponse>,
    #[serde(skip_serializing_if = "is_false")]
    pub tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

/// `target` is the path of the socket.
pub(crate) async fn probe(run: &mut Run, options: Option<&UnixProbe>, target: &str) -> bool {
    let none = UnixProbe::default();
    let options = options.unwrap_or(&none);
    let stream = match run.limit(UnixStream::connect(target)).await {
        Ok(stream) => stream,
        Err(error) => {
            run.error("Error dialing Unix socket", &[("err", format!("dial unix {target}: {error}"))]);
            return false;
        }
    };
    // A socket file has no host name; `tls_config.server_name` gives one.
    tcp::talk(run, stream, &options.query_response, options.tls, options.tls_config.as_ref(), "localhost").await
}
