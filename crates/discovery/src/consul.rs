//! `consul_sd_configs`: the instances of the services in a Consul catalogue. Source of keys and labels: the Prometheus
//! configuration reference; of requests and answers: Consul's HTTP API, `/v1/catalog/services` and `/v1/health/service`.

use crate::config::{ConfigDuration, ConfigFault, prefixed};
use crate::group::TARGETS_MAX;
use crate::{Running, Sink, TargetGroup};
use http_client::config::BasicAuth;
use http_client::{HttpClient, HttpClientConfig, Request, Secret};
use model::{Labels, LabelsBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use telemetry::Counter;

const SERVER_DEFAULT: &str = "localhost:8500";
pub(crate) const REFRESH_DEFAULT: ConfigDuration = ConfigDuration(30_000);
/// Between the tags of an instance, and around them, so that a rule can look for `,TAG,`.
const SEPARATOR_DEFAULT: &str = ",";
/// Answers beyond this are a mistake.
const RESPONSE_BYTES_MAX: usize = 256 << 20;
/// Consul answers in milliseconds; without a wait there is none.
const TIMEOUT: Duration = Duration::from_secs(30);

http_client::with_http_client_fields! {
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct ConsulSdConfig {
        /// `localhost:8500` if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub server: Option<String>,
        /// Before the paths of the API.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub path_prefix: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub token: Option<Secret>,
        /// The agent's own if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub datacenter: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub namespace: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub partition: Option<String>,
        /// `http` if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub scheme: Option<String>,
        /// All services if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub services: Option<Vec<String>>,
        /// Services and instances must have all of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tags: Option<Vec<String>>,
        /// Of instances' nodes, which must have all of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub node_meta: Option<BTreeMap<String, String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tag_separator: Option<String>,
        /// An expression of Consul's for the instances of a service.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health_filter: Option<String>,
        /// An expression of Consul's for its list of services.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub filter: Option<String>,
        /// Any server of the cluster may answer; true if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub allow_stale: Option<bool>,
        /// 30s if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub refresh_interval: Option<ConfigDuration>,
        /// As `basic_auth`, for old configurations.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub username: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub password: Option<Secret>,
    }
}

impl ConsulSdConfig {
    /// Everything that contradicts itself; `path` is where the section stands.
    pub(crate) fn faults(&self, path: &str) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.server.as_deref().is_some_and(|server| server.trim().is_empty()) {
            faults
                .push(ConfigFault::new(format!("{path}.server"), "consul SD configuration requires a server address"));
        }
        if !matches!(self.scheme.as_deref(), None | Some("http" | "https")) {
            faults.push(ConfigFault::new(format!("{path}.scheme"), "the scheme must be http or https"));
        }
        if (self.username.is_some() || self.password.is_some()) && self.basic_auth.is_some() {
            let message =
                "at most one of consul SD configuration username and password and basic auth can be configured";
            faults.push(ConfigFault::new(path, message));
        }
        if self.token.is_some() && (self.authorization.is_some() || self.oauth2.is_some()) {
            let message = "at most one of consul SD token, authorization, or oauth2 can be configured";
            faults.push(ConfigFault::new(path, message));
        }
        faults.extend(prefixed(path, self.http_client_config().faults()));
        faults
    }

    /// How it asks.
    pub(crate) fn client_config(&self) -> HttpClientConfig {
        let mut config = self.http_client_config();
        if self.username.is_some() || self.password.is_some() {
            let (username, password) = (self.username.clone().unwrap_or_default(), self.password.clone());
            config.basic_auth = Some(BasicAuth { username, password, ..BasicAuth::default() });
        }
        config
    }

    /// Where it asks, to the end of the prefix.
    fn base(&self) -> String {
        let server = self.server.as_deref().unwrap_or(SERVER_DEFAULT);
        let scheme = self.scheme.as_deref().unwrap_or("http");
        let prefix = self.path_prefix.as_deref().unwrap_or_default().trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{scheme}://{server}{slash}{prefix}")
    }

    /// What every question carries.
    fn query(&self) -> Vec<(&str, &str)> {
        let mut query: Vec<(&str, &str)> = Vec::new();
        for (name, value) in [("dc", &self.datacenter), ("ns", &self.namespace), ("partition", &self.partition)] {
            query.extend(value.as_deref().filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        if self.allow_stale != Some(false) {
            query.push(("stale", ""));
        }
        query
    }

    fn wants(&self, service: &str, tags: &[String]) -> bool {
        let named = self.services.iter().flatten().any(|own| own == service);
        (named || self.services.as_ref().is_none_or(Vec::is_empty))
            && self.tags.iter().flatten().all(|tag| tags.contains(tag))
    }
}

pub(crate) fn run(config: ConsulSdConfig, client: HttpClient, sink: Arc<dyn Sink>, failures: Counter) -> Running {
    Box::pin(async move {
        let refresh = config.refresh_interval.unwrap_or(REFRESH_DEFAULT).as_duration().max(Duration::from_millis(100));
        let consul = Consul { base: config.base(), config, client };
        let mut datacenter = consul.config.datacenter.clone().filter(|name| !name.is_empty());
        let mut known = BTreeMap::new();
        loop {
            match consul.find(&mut datacenter, &mut known, &failures).await {
                Ok(()) => sink.publish(known.values().cloned().collect()),
                Err(error) => {
                    failures.inc();
                    tracing::error!(server = %consul.base, %error, "consul_sd: no list of services; the previous targets stay");
                }
            }
            tokio::time::sleep(refresh).await;
        }
    })
}

struct Consul {
    config: ConsulSdConfig,
    client: HttpClient,
    base: String,
}

/// `/v1/agent/self`, the part of it that is needed.
#[derive(Deserialize)]
struct Agent {
    #[serde(rename = "Config")]
    config: AgentConfig,
}

#[derive(Deserialize)]
struct AgentConfig {
    #[serde(rename = "Datacenter")]
    datacenter: String,
}

/// One instance of `/v1/health/service/NAME`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: Node,
    service: Service,
    #[serde(default)]
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Node {
    node: String,
    address: String,
    tagged_addresses: Option<BTreeMap<String, String>>,
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: i64,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    namespace: String,
    partition: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Check {
    #[serde(rename = "CheckID")]
    check_id: String,
    status: String,
}

impl Consul {
    /// Asks for all services. One that is not answered for keeps its group.
    async fn find(
        &self,
        datacenter: &mut Option<String>,
        known: &mut BTreeMap<String, TargetGroup>,
        failures: &Counter,
    ) -> Result<(), String> {
        if datacenter.is_none() {
            let agent: Agent = self.ask("/v1/agent/self", &[]).await?;
            *datacenter = Some(agent.config.datacenter);
        }
        let mut query = self.config.query();
        let metadata: Vec<String> =
            self.config.node_meta.iter().flatten().map(|(name, value)| format!("{name}:{value}")).collect();
        query.extend(metadata.iter().map(|one| ("node-meta", one.as_str())));
        let mut of_services = query.clone();
        of_services.extend(self.config.filter.as_deref().map(|filter| ("filter", filter)));
        let services: BTreeMap<String, Option<Vec<String>>> = self.ask("/v1/catalog/services", &of_services).await?;
        let wanted: BTreeSet<String> = (services.into_iter())
            .filter(|(name, tags)| self.config.wants(name, tags.as_deref().unwrap_or_default()))
            .map(|(name, _)| name)
            .collect();
        known.retain(|name, _| wanted.contains(name));
        query.extend(self.config.tags.iter().flatten().map(|tag| ("tag", tag.as_str())));
        query.extend(self.config.health_filter.as_deref().map(|filter| ("filter", filter)));
        let mut targets = 0;
        for name in wanted {
            let mut path = "/v1/health/service/".to_owned();
            encode(&mut path, &name);
            match self.ask::<Vec<Instance>>(&path, &query).await {
                Ok(instances) => {
                    targets += instances.len();
                    if targets > TARGETS_MAX {
                        return Err(format!("more than {TARGETS_MAX} targets"));
                    }
                    let group = self.group(&name, datacenter.as_deref().unwrap_or_default(), &instances);
                    known.insert(name, group);
                }
                Err(error) => {
                    failures.inc();
                    tracing::error!(server = %self.base, service = %name, %error, "consul_sd: a service keeps its previous targets");
                }
            }
        }
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, String> {
        let mut url = format!("{}{path}", self.base);
        for (i, (name, value)) in query.iter().enumerate() {
            url.push(if i == 0 { '?' } else { '&' });
            url.push_str(name);
            if !value.is_empty() {
                url.push('=');
                encode(&mut url, value);
            }
        }
        let mut request = Request::get(&*url, TIMEOUT, RESPONSE_BYTES_MAX);
        request.headers.push(("Accept-Encoding".into(), "gzip".into()));
        if let Some(token) = self.config.token.as_ref().filter(|token| !token.expose().is_empty()) {
            request.headers.push(("X-Consul-Token".into(), token.expose().to_owned()));
        }
        let response = self.client.send(request).await.map_err(|error| format!("{path}: {error}"))?;
        let body = response.decoded(RESPONSE_BYTES_MAX).map_err(|error| format!("{path}: {error}"))?;
        if !response.is_success() {
            let told: String = String::from_utf8_lossy(&body).trim().chars().take(200).collect();
            return Err(format!("{path}: HTTP status {}: {told}", response.status_text()));
        }
        serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))
    }

    fn group(&self, name: &str, datacenter: &str, instances: &[Instance]) -> TargetGroup {
        let labels = Labels::from_pairs([("__meta_consul_service", name), ("__meta_consul_dc", datacenter)]);
        TargetGroup { source: name.to_owned(), labels, targets: instances.iter().map(|one| self.target(one)).collect() }
    }

    fn target(&self, Instance { node, service, checks }: &Instance) -> Labels {
        let separator = self.config.tag_separator.as_deref().unwrap_or(SEPARATOR_DEFAULT);
        let tags = service.tags.as_deref().unwrap_or_default().join(separator);
        let host = if service.address.is_empty() { &node.address } else { &service.address };
        let address =
            if host.contains(':') { format!("[{host}]:{}", service.port) } else { format!("{host}:{}", service.port) };
        let mut labels = LabelsBuilder::default();
        labels.set("__address__", &address);
        for (name, value) in [
            ("address", node.address.as_str()),
            ("node", &node.node),
            ("namespace", &service.namespace),
            ("partition", &service.partition),
            ("tags", &format!("{separator}{tags}{separator}")),
            ("service_address", &service.address),
            ("service_port", &service.port.to_string()),
            ("service_id", &service.id),
            ("health", health(checks.as_deref().unwrap_or_default())),
        ] {
            labels.set(&format!("__meta_consul_{name}"), value);
        }
        for (prefix, pairs) in
            [("metadata", &node.meta), ("tagged_address", &node.tagged_addresses), ("service_metadata", &service.meta)]
        {
            for (name, value) in pairs.iter().flatten() {
                labels.set(&format!("__meta_consul_{prefix}_{}", label_name(name)), value);
            }
        }
        labels.build()
    }
}

/// The worst of an instance's checks, as Consul's own client takes it.
fn health(checks: &[Check]) -> &'static str {
    let maintained =
        |check: &Check| check.check_id == "_node_maintenance" || check.check_id.starts_with("_service_maintenance:");
    if checks.iter().any(maintained) {
        return "maintenance";
    }
    let worst = ["critical", "warning"].into_iter().find(|status| checks.iter().any(|check| check.status == *status));
    match worst {
        Some(status) => status,
        None if checks.iter().all(|check| check.status == "passing") => "passing",
        None => "",
    }
}

/// What no label name may have becomes `_`.
fn label_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
