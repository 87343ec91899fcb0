//! Asking other servers for series, and answering them.

mod client;
mod server;

pub use client::{ReadClient, ReadClientOptions};
pub use server::{ReadError, answer};

use crate::ConfigDuration;
use http_client::ConfigFault;
use std::collections::BTreeMap;

http_client::with_http_client_fields! {
    /// One entry of `remote_read`, as written.
    #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct RemoteReadConfig {
        /// Where queries are sent.
        pub url: String,
        /// Unique among the remote_read sections; made from the URL if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Only queries that have all of these as equality matchers are sent.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub required_matchers: BTreeMap<String, String>,
        /// 1m if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub remote_timeout: Option<ConfigDuration>,
        /// Sent with every request.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub headers: BTreeMap<String, String>,
        /// Also ask for times that the local storage has completely.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub read_recent: Option<bool>,
        /// True if absent: external labels are asked for and taken off the answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub filter_external_labels: Option<bool>,
    }
}

impl RemoteReadConfig {
    /// Everything that is wrong in the section.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = self.http_client_config().faults();
        if self.url.is_empty() {
            faults.push(ConfigFault::new("url", "url for remote_read is empty"));
        }
        faults
    }

    /// The name, given or made.
    pub fn resolved_name(&self) -> String {
        self.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| crate::default_name(&self.url))
    }
}
