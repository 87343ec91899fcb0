//! `blackbox.yml` as Blackbox exporter 0.28 reads it.

use crate::{
    prober::{
        dns::DnsProbe, grpc::GrpcProbe, http::HttpProbe, icmp::IcmpProbe, tcp::TcpProbe, unix::UnixProbe,
        websocket::WebsocketProbe,
    },
    show::{self, Layout},
    values::GoDuration,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use yaml::{Fault, Faults, Places};

/// What is probed with when no file is given.
const DEFAULT_MODULES: &str = include_str!("default_modules.yml");

/// The file: modules by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub modules: BTreeMap<String, Module>,
}

/// One way to probe. Options of other probers than `prober` are accepted and not used, as upstream does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// `http`, `tcp`, `dns`, `icmp`, `grpc`, `unix` or `websocket`; another one fails every probe.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prober: String,
    /// The longest a probe may take; without it the scrape's timeout counts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    #[serde(default = "HttpProbe::initial")]
    pub http: HttpProbe,
    #[serde(default = "TcpProbe::initial")]
    pub tcp: TcpProbe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<UnixProbe>,
    #[serde(default = "IcmpProbe::initial")]
    pub icmp: IcmpProbe,
    #[serde(default = "DnsProbe::initial")]
    pub dns: DnsProbe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcProbe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket: Option<WebsocketProbe>,
}

/// Collects what contradicts itself in one module.
pub(crate) struct Check<'p> {
    places: &'p Places,
    path: String,
    faults: &'p mut Vec<Fault>,
}

impl Check<'_> {
    /// A fault at `field` below the section that is checked.
    pub(crate) fn fault(&mut self, field: &str, message: impl Into<String>) {
        let path = if field.is_empty() { self.path.clone() } else { format!("{}.{field}", self.path) };
        self.faults.push(self.places.fault(&path, message));
    }

    pub(crate) fn all(&mut self, field: &str, faults: Vec<http_client::ConfigFault>) {
        for fault in faults {
            let joined = match (field, fault.path.as_str()) {
                ("", path) => path.to_owned(),
                (field, "") => field.to_owned(),
                (field, path) => format!("{field}.{path}"),
            };
            self.fault(&joined, fault.message);
        }
    }
}

impl Config {
    /// Reads a file. `file_name` stands in the messages.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(file_name: &str, text: &str) -> Result<Self, Faults> {
        let (mut config, places): (Config, Places) = yaml::from_str_with_places(file_name, text)?;
        let mut faults = Vec::new();
        for (name, module) in &config.modules {
            let mut check = |section: &str, run: &dyn Fn(&mut Check<'_>)| {
                let path = format!("modules.{name}.{section}");
                run(&mut Check { places: &places, path, faults: &mut faults });
            };
            check("http", &|check| module.http.check(check));
            check("tcp.tls_config", &|check| check.all("", tls_faults(module.tcp.tls_config.as_ref())));
            check("dns", &|check| module.dns.check(check));
            check("icmp", &|check| module.icmp.check(check));
            if let Some(grpc) = &module.grpc {
                check("grpc.tls_config", &|check| check.all("", tls_faults(grpc.tls_config.as_ref())));
            }
            if let Some(unix) = &module.unix {
                check("unix.tls_config", &|check| check.all("", tls_faults(unix.tls_config.as_ref())));
            }
            if let Some(websocket) = &module.websocket {
                check("websocket.http_config", &|check| check.all("", websocket.http_config.faults()));
            }
        }
        places.check(faults)?;
        config.modules.values_mut().for_each(|module| module.http.resolve());
        Ok(config)
    }

    /// The modules that are there without a file: `http_2xx`, `http_post_2xx`, `tcp_connect`, `tls_connect`, `icmp`,
    /// `dns_udp`, `dns_tcp`, `grpc`, `grpc_plain`, `ssh_banner`, `smtp_starttls`, `pop3s_banner`, `irc_banner`.
    ///
    /// # Errors
    /// Never, unless the file inside the program is broken; the tests read it.
    pub fn default_modules() -> Result<Self, Faults> {
        Config::load("the modules that come with the program", DEFAULT_MODULES)
    }

    /// Makes relative file names relative to `base`, the folder of the configuration file.
    pub fn resolve_paths(&mut self, base: &Path) {
        for module in self.modules.values_mut() {
            module.http.resolve_paths(base);
            let tls_configs = [
                module.tcp.tls_config.as_mut(),
                module.dns.tls_config.as_mut(),
                module.grpc.as_mut().and_then(|grpc| grpc.tls_config.as_mut()),
                module.unix.as_mut().and_then(|unix| unix.tls_config.as_mut()),
            ];
            for tls_config in tls_configs.into_iter().flatten() {
                tls_config.resolve_paths(base);
            }
            if let Some(websocket) = &mut module.websocket {
                websocket.http_config.resolve_paths(base);
            }
        }
    }

    /// The file as it counts, defaults filled in and secrets hidden: YAML.
    pub fn to_yaml(&self) -> String {
        show::yaml(self, Layout::WIDE)
    }
}

impl Module {
    /// The module as it counts, defaults filled in and secrets hidden: YAML.
    pub fn to_yaml(&self) -> String {
        show::yaml(self, Layout::NARROW)
    }
}

pub(crate) fn tls_faults(tls_config: Option<&http_client::TlsConfig>) -> Vec<http_client::ConfigFault> {
    tls_config.map(http_client::TlsConfig::faults).unwrap_or_default()
}
