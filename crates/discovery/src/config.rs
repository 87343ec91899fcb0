//! The keys of service discovery as written. Source: the Prometheus configuration reference.

use crate::TargetGroup;
pub use crate::consul::ConsulSdConfig;
use crate::group::WrittenGroup;
use http_client::HttpClientConfig;
pub(crate) use http_client::config::{ConfigFault, prefixed};
use model::duration::{format_duration_ms, parse_duration_ms};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::{Path, PathBuf};

/// A duration as configurations write it (`30s`), in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigDuration(pub i64);

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration_ms(&text)
            .map(ConfigDuration)
            .map_err(|error| serde::de::Error::custom(format!("not a valid duration string: {text:?}: {error}")))
    }
}

impl Serialize for ConfigDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration_ms(self.0))
    }
}

impl ConfigDuration {
    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

/// One entry of `static_configs`.
pub type StaticConfig = WrittenGroup;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSdConfig {
    /// Names ending in .json, .yml or .yaml; the last part may have wildcards.
    pub files: Vec<String>,
    /// All files are read again so often, changed or not. 5m if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<ConfigDuration>,
}

http_client::with_http_client_fields! {
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct HttpSdConfig {
        pub url: String,
        /// 1m if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub refresh_interval: Option<ConfigDuration>,
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsSdConfig {
    pub names: Vec<String>,
    /// 30s if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<ConfigDuration>,
    /// SRV (if absent), A, AAAA, MX or NS.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub record_type: Option<String>,
    /// Needed where the record has no port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// All discovery of one section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryConfig {
    pub static_configs: Vec<StaticConfig>,
    pub file: Vec<FileSdConfig>,
    pub http: Vec<(String, ConfigDuration, HttpClientConfig)>,
    pub dns: Vec<DnsSdConfig>,
    pub consul: Vec<(ConsulSdConfig, HttpClientConfig)>,
    /// Keys that Prometheus knows and this program cannot serve yet.
    pub unsupported: Vec<&'static str>,
}

/// What [`DiscoveryConfig::check_files`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesChecked {
    /// Files that are named without wildcards and are not there. They may come later.
    pub missing: Vec<String>,
    /// What is wrong with those that are there.
    pub faults: Vec<String>,
}

pub(crate) const HTTP_REFRESH_DEFAULT: ConfigDuration = ConfigDuration(60_000);
pub(crate) const FILE_REFRESH_DEFAULT: ConfigDuration = ConfigDuration(5 * 60_000);
pub(crate) const DNS_REFRESH_DEFAULT: ConfigDuration = ConfigDuration(30_000);

impl DiscoveryConfig {
    /// Gathers the parts; for [`with_discovery_fields!`].
    #[doc(hidden)]
    pub fn gather(
        static_configs: &Option<Vec<Option<StaticConfig>>>,
        file: &Option<Vec<FileSdConfig>>,
        http: &Option<Vec<HttpSdConfig>>,
        dns: &Option<Vec<DnsSdConfig>>,
        consul: &Option<Vec<ConsulSdConfig>>,
        others: &[(&'static str, bool)],
    ) -> Self {
        DiscoveryConfig {
            static_configs: static_configs.iter().flatten().flatten().cloned().collect(),
            file: file.clone().unwrap_or_default(),
            http: (http.iter().flatten())
                .map(|c| (c.url.clone(), c.refresh_interval.unwrap_or(HTTP_REFRESH_DEFAULT), c.http_client_config()))
                .collect(),
            dns: dns.clone().unwrap_or_default(),
            consul: consul.iter().flatten().map(|c| (c.clone(), c.client_config())).collect(),
            unsupported: others.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect(),
        }
    }

    /// Makes relative file names relative to `base`.
    pub fn resolve_paths(&mut self, base: &Path) {
        for file in self.file.iter_mut().flat_map(|config| &mut config.files) {
            *file = base.join(PathBuf::from(&*file)).to_string_lossy().into_owned();
        }
        for (_, _, http) in &mut self.http {
            http.resolve_paths(base);
        }
        for (_, http) in &mut self.consul {
            http.resolve_paths(base);
        }
    }

    /// The groups of `static_configs`.
    pub fn static_groups(&self) -> Vec<TargetGroup> {
        let groups = self.static_configs.iter().cloned().enumerate();
        groups.map(|(i, group)| group.into_group(i.to_string(), &[])).collect()
    }

    /// What can be known without asking anybody: `static_configs`, and the files of `file_sd_configs` that can be
    /// read now. Paths are resolved already.
    pub fn offline_groups(&self) -> Vec<TargetGroup> {
        let mut groups = self.static_groups();
        groups.extend(self.file.iter().flat_map(|config| crate::file::read_now(&config.files)));
        groups
    }

    /// Looks at the files of `file_sd_configs` without serving them. Blocks on the disk.
    pub fn check_files(&self) -> FilesChecked {
        let mut checked = FilesChecked::default();
        for config in &self.file {
            crate::file::check_now(&config.files, &mut checked);
        }
        checked
    }

    /// True when targets may come and go while the program runs.
    pub fn is_dynamic(&self) -> bool {
        !(self.file.is_empty() && self.http.is_empty() && self.dns.is_empty() && self.consul.is_empty())
    }

    /// Static targets that are no `host:port`. Only for sections without `relabel_configs`: with rules, a target may
    /// be anything, as the URLs that the Blackbox exporter is to probe.
    pub fn static_target_faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (i, group) in self.static_configs.iter().enumerate() {
            for (j, target) in group.targets.iter().enumerate() {
                let path = format!("static_configs[{i}].targets[{j}]");
                if target.contains('/') {
                    let message =
                        format!("{target:?} is not a valid hostname; write host:port, and the path into metrics_path");
                    faults.push(ConfigFault::new(path, message));
                } else if target.is_empty() {
                    faults.push(ConfigFault::new(path, "the target is empty"));
                }
            }
        }
        faults
    }

    /// Everything that contradicts itself.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (i, config) in self.file.iter().enumerate() {
            if config.files.is_empty() {
                let path = format!("file_sd_configs[{i}]");
                faults
                    .push(ConfigFault::new(path, "file service discovery config must contain at least one path name"));
            }
            for (j, file) in config.files.iter().enumerate() {
                if !crate::file::is_valid_pattern(file) {
                    let message = format!(
                        "path name {file:?} is not valid for file discovery; it must end in .json, .yml or .yaml and have wildcards in its last part only"
                    );
                    faults.push(ConfigFault::new(format!("file_sd_configs[{i}].files[{j}]"), message));
                }
            }
        }
        for (i, (url, _, http)) in self.http.iter().enumerate() {
            let path = format!("http_sd_configs[{i}]");
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            let message = match rest {
                _ if url.is_empty() => Some("URL is missing"),
                None => Some("URL scheme must be 'http' or 'https'"),
                Some(rest) if rest.split(['/', '?', '#', ':']).next().is_none_or(str::is_empty) => {
                    Some("host is missing in URL")
                }
                Some(_) => None,
            };
            faults.extend(message.map(|message| ConfigFault::new(format!("{path}.url"), message)));
            faults.extend(prefixed(&path, http.faults()));
        }
        for (i, config) in self.dns.iter().enumerate() {
            let path = format!("dns_sd_configs[{i}]");
            let record_type = config.record_type.as_deref().unwrap_or("SRV").to_ascii_uppercase();
            if config.names.is_empty() {
                faults.push(ConfigFault::new(&*path, "DNS-SD config must contain at least one SRV record name"));
            }
            match record_type.as_str() {
                "SRV" => {}
                "A" | "AAAA" | "MX" | "NS" if config.port.is_none() => {
                    faults.push(ConfigFault::new(
                        path,
                        "a port is required in DNS-SD configs for all record types except SRV",
                    ));
                }
                "A" | "AAAA" | "MX" | "NS" => {}
                _ => faults.push(ConfigFault::new(
                    format!("{path}.type"),
                    format!("invalid DNS-SD records type {record_type}; known are SRV, A, AAAA, MX, NS"),
                )),
            }
        }
        for (i, (config, _)) in self.consul.iter().enumerate() {
            faults.extend(config.faults(&format!("consul_sd_configs[{i}]")));
        }
        faults
    }

    /// Sentences on what is accepted and not served yet; `owner` names the section (`job "node"`).
    pub fn warnings(&self, owner: &str) -> Vec<String> {
        let unsupported = self.unsupported.iter();
        unsupported
            .map(|key| {
                format!(
                    "{owner}: {key} is not supported yet: it finds no targets; use file_sd_configs or http_sd_configs"
                )
            })
            .collect()
    }
}

/// Declares a configuration struct with the keys of service discovery and of `http_config` beside its own, and with
/// the methods `discovery_config()` and `http_client_config()`.
#[macro_export]
macro_rules! with_discovery_fields {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $( $(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty ),* $(,)? }
    ) => {
        $crate::with_discovery_fields! {
            @others
            { $(#[$meta])* $vis struct $name { $( $(#[$field_meta])* $field_vis $field : $type ),* } }
            aws_sd_configs azure_sd_configs digitalocean_sd_configs docker_sd_configs
            dockerswarm_sd_configs ec2_sd_configs eureka_sd_configs gce_sd_configs hetzner_sd_configs
            ionos_sd_configs kubernetes_sd_configs kuma_sd_configs lightsail_sd_configs linode_sd_configs
            marathon_sd_configs nerve_sd_configs nomad_sd_configs oci_sd_configs openstack_sd_configs
            outscale_sd_configs ovhcloud_sd_configs puppetdb_sd_configs scaleway_sd_configs serverset_sd_configs
            stackit_sd_configs triton_sd_configs uyuni_sd_configs vultr_sd_configs
        }
    };
    (
        @others
        { $(#[$meta:meta])* $vis:vis struct $name:ident { $( $(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty ),* } }
        $($other:ident)*
    ) => {
        $crate::http_client::with_http_client_fields! {
            $(#[$meta])*
            $vis struct $name {
                $( $(#[$field_meta])* $field_vis $field : $type, )*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub static_configs: Option<Vec<Option<$crate::config::StaticConfig>>>,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub file_sd_configs: Option<Vec<$crate::config::FileSdConfig>>,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub http_sd_configs: Option<Vec<$crate::config::HttpSdConfig>>,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub dns_sd_configs: Option<Vec<$crate::config::DnsSdConfig>>,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub consul_sd_configs: Option<Vec<$crate::config::ConsulSdConfig>>,
                $(
                    /// Accepted, not served yet.
                    #[serde(default, skip_serializing)]
                    pub $other: Option<Vec<$crate::serde_json::Value>>,
                )*
            }
        }

        impl $name {
            /// The discovery keys of this section.
            $vis fn discovery_config(&self) -> $crate::DiscoveryConfig {
                $crate::DiscoveryConfig::gather(
                    &self.static_configs,
                    &self.file_sd_configs,
                    &self.http_sd_configs,
                    &self.dns_sd_configs,
                    &self.consul_sd_configs,
                    &[$( (stringify!($other), self.$other.is_some()) ),*],
                )
            }
        }
    };
}
