//! `websocket`: accepted in the file; probing it is not built yet.

use super::query_response::QueryResponse;
use crate::{
    probe::Run,
    values::{IpProtocol, yes},
};
use http_client::HttpClientConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default = "WebsocketProbe::initial", deny_unknown_fields)]
pub struct WebsocketProbe {
    pub http_config: HttpClientConfig,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_response: Vec<QueryResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_ip_protocol: Option<IpProtocol>,
    pub ip_protocol_fallback: bool,
}

impl WebsocketProbe {
    fn initial() -> Self {
        WebsocketProbe { ip_protocol_fallback: yes(), ..WebsocketProbe::default() }
    }
}

pub(crate) async fn probe(run: &mut Run, options: Option<&WebsocketProbe>, _target: &str) -> bool {
    let _ = options;
    run.error("The websocket prober is not available in this version", &[]);
    false
}
