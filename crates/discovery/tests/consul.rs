//! A server that plays what Consul answers. The answers are written after Consul's documentation of its API and are cut to
//! what is read; no Consul was asked.
#![expect(clippy::unwrap_used, reason = "tests")]

use discovery::{DiscoveryConfig, Groups, Manager};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use telemetry::Registry;

discovery::with_discovery_fields! {
    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {}
}

const SERVICES: &str = r#"{"consul": [], "web": ["prod", "v1"], "web api": ["prod"], "old": ["test"]}"#;
const WEB: &str = r#"[
  {"Node": {"ID": "1", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1",
            "TaggedAddresses": {"lan": "10.0.0.1", "wan": "1.2.3.4"}, "Meta": {"rack-no": "7"}},
   "Service": {"ID": "web-1", "Service": "web", "Tags": ["prod", "v1"], "Address": "", "Port": 8080,
               "Meta": {"metrics.path": "/m"}, "Weights": {"Passing": 1, "Warning": 1}},
   "Checks": [{"CheckID": "serfHealth", "Status": "passing"}, {"CheckID": "web", "Status": "warning"}]},
  {"Node": {"Node": "n2", "Address": "10.0.0.2", "TaggedAddresses": null, "Meta": null},
   "Service": {"ID": "web-2", "Tags": null, "Address": "fd00::2", "Port": 0, "Namespace": "ns", "Partition": "p"},
   "Checks": [{"CheckID": "_node_maintenance", "Status": "critical"}]}
]"#;

struct Played {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    broken: Arc<Mutex<bool>>,
}

fn play() -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, broken) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
    let played = Played { address, asked: Arc::clone(&asked), broken: Arc::clone(&broken) };
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut token) = (String::new(), String::new());
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("x-consul-token:") {
                    token = value.trim().to_owned();
                }
            }
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            asked.lock().unwrap().push(path.clone());
            let body = match path.split('?').next().unwrap_or_default() {
                _ if token != "t0k" => "403",
                "/c/v1/agent/self" => r#"{"Config": {"Datacenter": "dc1", "NodeName": "n1"}}"#,
                "/c/v1/catalog/services" => SERVICES,
                "/c/v1/health/service/web" if *broken.lock().unwrap() => "500",
                "/c/v1/health/service/web" => WEB,
                "/c/v1/health/service/web%20api" => "[]",
                _ => "404",
            };
            let status = if body.len() == 3 && body != "[]" { body } else { "200" };
            let head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    played
}

fn config(json: &str) -> DiscoveryConfig {
    serde_json::from_str::<Section>(json).unwrap().discovery_config()
}

fn shown(groups: &Groups) -> String {
    let mut lines = Vec::new();
    for group in groups.values().flatten() {
        lines.push(format!("{} {}", group.source, group.labels));
        lines.extend(group.targets.iter().map(|target| format!("  {target}")));
    }
    lines.join("\n")
}

#[tokio::test]
async fn services_become_targets() {
    let played = play();
    let registry = Registry::new();
    let manager = Manager::new("scrape", &registry);
    let mut groups = manager.subscribe();
    let config = config(&format!(
        r#"{{"consul_sd_configs": [{{"server": "{}", "path_prefix": "/c", "token": "t0k", "tags": ["prod"],
            "node_meta": {{"rack": "1"}}, "filter": "a == b", "health_filter": "c", "refresh_interval": "100ms"}}]}}"#,
        played.address
    ));
    assert_eq!((config.faults(), config.warnings("job")), (Vec::new(), Vec::new()));
    manager.apply(BTreeMap::from([("job".to_owned(), config)]));
    groups.borrow_and_update();
    tokio::time::timeout(Duration::from_secs(20), groups.changed()).await.unwrap().unwrap();
    let expected = r#"web {__meta_consul_dc="dc1", __meta_consul_service="web"}
  {__address__="10.0.0.1:8080", __meta_consul_address="10.0.0.1", __meta_consul_health="warning", __meta_consul_metadata_rack_no="7", __meta_consul_node="n1", __meta_consul_service_id="web-1", __meta_consul_service_metadata_metrics_path="/m", __meta_consul_service_port="8080", __meta_consul_tagged_address_lan="10.0.0.1", __meta_consul_tagged_address_wan="1.2.3.4", __meta_consul_tags=",prod,v1,"}
  {__address__="[fd00::2]:0", __meta_consul_address="10.0.0.2", __meta_consul_health="maintenance", __meta_consul_namespace="ns", __meta_consul_node="n2", __meta_consul_partition="p", __meta_consul_service_address="fd00::2", __meta_consul_service_id="web-2", __meta_consul_service_port="0", __meta_consul_tags=",,"}
web api {__meta_consul_dc="dc1", __meta_consul_service="web api"}"#;
    assert_eq!(shown(&groups.borrow_and_update()), expected);
    let asked = played.asked.lock().unwrap().clone();
    assert_eq!(
        asked.get(..4).unwrap(),
        [
            "/c/v1/agent/self",
            "/c/v1/catalog/services?stale&node-meta=rack%3A1&filter=a%20%3D%3D%20b",
            "/c/v1/health/service/web?stale&node-meta=rack%3A1&tag=prod&filter=c",
            "/c/v1/health/service/web%20api?stale&node-meta=rack%3A1&tag=prod&filter=c",
        ]
    );
    // A service that is not answered for keeps its targets.
    *played.broken.lock().unwrap() = true;
    let failures =
        registry.counter("prometheus_sd_consul_rpc_failures_total", "The number of Consul RPC call failures.", &[]);
    tokio::time::timeout(Duration::from_secs(20), async {
        while failures.get() == 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(shown(&groups.borrow_and_update()), expected);
}

#[test]
fn faults() {
    for (json, expected) in [
        (r#"{"server": ""}"#, "consul_sd_configs[0].server: consul SD configuration requires a server address"),
        (r#"{"scheme": "ftp"}"#, "consul_sd_configs[0].scheme: the scheme must be http or https"),
        (
            r#"{"username": "u", "basic_auth": {"username": "v"}}"#,
            "consul_sd_configs[0]: at most one of consul SD configuration username and password and basic auth can be configured",
        ),
        (
            r#"{"token": "t", "authorization": {"credentials": "c"}}"#,
            "consul_sd_configs[0]: at most one of consul SD token, authorization, or oauth2 can be configured",
        ),
    ] {
        let faults = config(&format!(r#"{{"consul_sd_configs": [{json}]}}"#)).faults();
        let said: Vec<String> = faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
        assert_eq!(said, [expected]);
    }
}
