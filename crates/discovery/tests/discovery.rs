//! Sections in, groups out.
#![expect(clippy::unwrap_used, reason = "tests")]

use discovery::config::{FileSdConfig, StaticConfig};
use discovery::{DiscoveryConfig, Groups, Manager};
use std::collections::BTreeMap;
use telemetry::Registry;

discovery::with_discovery_fields! {
    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        pub job_name: String,
    }
}

fn section(json: &str) -> DiscoveryConfig {
    serde_json::from_str::<Section>(json).unwrap().discovery_config()
}

const FAULTS: &[(&str, &str)] = &[
    (r#"{"static_configs":[{"targets":["a:1"]}]}"#, ""),
    (
        r#"{"file_sd_configs":[{"files":["a.txt"]}]}"#,
        "file_sd_configs[0].files[0]: path name \"a.txt\" is not valid for file discovery; it must end in .json, .yml or .yaml and have wildcards in its last part only",
    ),
    (r#"{"http_sd_configs":[{"url":"//x"}]}"#, "http_sd_configs[0].url: URL scheme must be 'http' or 'https'"),
    (r#"{"http_sd_configs":[{"url":"http://"}]}"#, "http_sd_configs[0].url: host is missing in URL"),
    (
        r#"{"dns_sd_configs":[{"names":["x"],"type":"A"}]}"#,
        "dns_sd_configs[0]: a port is required in DNS-SD configs for all record types except SRV",
    ),
];

#[test]
fn faults_and_warnings() {
    for (json, expected) in FAULTS {
        let said: Vec<String> =
            section(json).faults().into_iter().map(|f| format!("{}: {}", f.path, f.message)).collect();
        assert_eq!(said.join("|"), *expected, "in {json}");
    }
    let config = section(r#"{"kubernetes_sd_configs":[{"role":"pod"}]}"#);
    assert_eq!(
        config.warnings("job \"k\""),
        [
            "job \"k\": kubernetes_sd_configs is not supported yet: it finds no targets; use file_sd_configs or http_sd_configs"
        ]
    );
    assert!(serde_json::from_str::<Section>(r#"{"consult_sd_configs":[]}"#).is_err());
}

fn shown(groups: &Groups) -> String {
    let mut lines = Vec::new();
    for (name, groups) in groups.iter() {
        for group in groups {
            let targets: Vec<_> = group.targets.iter().map(|t| t.get("__address__").unwrap_or("?")).collect();
            let own: Vec<_> = group.labels.iter().filter(|(n, _)| !n.starts_with("__meta")).collect();
            lines.push(format!("{name} {} {own:?}", targets.join(",")));
        }
    }
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn files_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.json", r#"[{"targets":["a:1"],"labels":{"k":"v"}}, null]"#);
    let pattern = folder.path().join("*.json").to_string_lossy().into_owned();
    let config = DiscoveryConfig {
        static_configs: vec![StaticConfig { targets: vec!["s:1".into()], labels: BTreeMap::new() }],
        file: vec![FileSdConfig { files: vec![pattern], refresh_interval: None }],
        ..DiscoveryConfig::default()
    };
    let manager = Manager::new("scrape", &Registry::new());
    let mut groups = manager.subscribe();
    manager.apply(BTreeMap::from([("job".to_owned(), config)]));
    assert_eq!(shown(&groups.borrow_and_update()), "job s:1 []");
    let mut expect = async |expected: &str| {
        groups.changed().await.unwrap();
        assert_eq!(shown(&groups.borrow_and_update()), expected);
    };
    expect("job s:1 []\njob a:1 [(\"k\", \"v\")]").await;
    write("b.json", r#"[{"targets":["b:1","b:2"]}]"#);
    expect("job s:1 []\njob a:1 [(\"k\", \"v\")]\njob b:1,b:2 []").await;
    // A broken file keeps its groups: the change of the other file shows it.
    write("a.json", r#"[{"targats":["x:1"]}]"#);
    write("b.json", r#"[{"targets":["b:3"]}]"#);
    expect("job s:1 []\njob a:1 [(\"k\", \"v\")]\njob b:3 []").await;
    std::fs::remove_file(folder.path().join("b.json")).unwrap();
    expect("job s:1 []\njob a:1 [(\"k\", \"v\")]").await;
    manager.apply(BTreeMap::new());
    assert_eq!(shown(&manager.subscribe().borrow()), "");
}
