//! Jobs as written, resolved; and the real configurations of the conformance folder.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

use scrape::{GlobalScrapeDefaults, ScrapeConfig, ScrapeJob, label_clashes, parse_size};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

fn faults(text: &str) -> String {
    let config: ScrapeConfig = match yaml::from_str("job.yml", text) {
        Ok(config) => config,
        Err(faults) => return faults.to_string(),
    };
    match config.resolve(&GlobalScrapeDefaults::default(), Path::new("/etc/vigie")) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(|f| format!("{}: {}", f.path, f.message)).collect::<Vec<_>>().join("|"),
    }
}

const CASES: &[(&str, &str)] = &[
    ("job_name: a", ""),
    (
        "{job_name: a, static_configs: [{targets: ['http://a:1/x']}]}",
        "static_configs[0].targets[0]: \"http://a:1/x\" is not a valid hostname; write host:port, and the path into metrics_path",
    ),
    (
        "{job_name: a, static_configs: [{targets: ['http://a:1/x']}], relabel_configs: [{source_labels: [__address__], target_label: __param_target}]}",
        "",
    ),
    (
        "scheme: ftp",
        "job_name: job_name is empty; give each scrape config a name of its own|scheme: \"ftp\" is no scheme for a scrape; write http or https",
    ),
    (
        "{job_name: a, scrape_interval: 5s, scrape_timeout: 10s}",
        "scrape_timeout: scrape timeout greater than scrape interval for scrape config with job name \"a\": 10s exceeds 5s; lower the one or raise the other",
    ),
    ("{job_name: a, body_size_limit: 100}", "body_size_limit: units: unknown unit in 100; write for example 10MB"),
    (
        "{job_name: a, metric_name_validation_scheme: x}",
        "metric_name_validation_scheme: unrecognized ValidationScheme: \"x\"; write utf8 or legacy",
    ),
    (
        "{job_name: a, relabel_configs: [{action: keepequal, source_labels: [x]}]}",
        "relabel_configs[0]: relabel configuration for keepequal action requires 'target_label' value",
    ),
    (
        "{job_name: a, metric_relabel_configs: [null]}",
        "metric_relabel_configs[0]: empty or null metric relabeling rule in scrape config",
    ),
    (
        "{job_name: a, scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText1.0.0]}",
        "scrape_protocols: duplicated protocol in scrape_protocols, got [OpenMetricsText1.0.0 OpenMetricsText1.0.0] for scrape config with job name \"a\"",
    ),
    (
        "{job_name: a, bearer_token: x, bearer_token_file: y}",
        "bearer_token_file: at most one of bearer_token & bearer_token_file must be configured",
    ),
    (
        "{job_name: a, tls_config: {cert_file: c}}",
        "tls_config: exactly one of key or key_file must be configured when a client certificate is configured",
    ),
];

#[test]
fn faults_of_jobs() {
    for (text, expected) in CASES {
        assert_eq!(faults(text), *expected, "in {text}");
    }
    assert!(faults("{job_name: a, consult_sd_configs: []}").contains("consult_sd_configs"));
}

#[test]
fn defaults_and_warnings() {
    let config: ScrapeConfig =
        yaml::from_str("job.yml", "{job_name: a, scrape_interval: 5s, ec2_sd_configs: [{region: x}]}").unwrap();
    let job = config.resolve(&GlobalScrapeDefaults::default(), Path::new("/etc")).unwrap();
    assert_eq!(job.scrape_timeout, Duration::from_secs(5), "the global timeout, but not longer than the interval");
    assert_eq!(job.metrics_path, "/metrics");
    assert_eq!(job.warnings.len(), 1);
    assert!(job.warnings[0].starts_with("job \"a\": ec2_sd_configs is not supported yet"), "{}", job.warnings[0]);
}

fn jobs(texts: &[&str], base: &Path) -> Vec<ScrapeJob> {
    let resolve = |text: &&str| {
        let config: ScrapeConfig = yaml::from_str("job.yml", text).unwrap();
        config.resolve(&GlobalScrapeDefaults::default(), base).unwrap()
    };
    texts.iter().map(resolve).collect()
}

#[test]
fn targets_in_one_label_set() {
    const PROBES: &str = "job_name: p\nmetrics_path: /probe\nrelabel_configs:\n- {source_labels: [__address__], target_label: __param_target}\n- {target_label: instance, replacement: blackbox}\n- {target_label: __address__, replacement: 'bb:9115'}\n";
    let two = format!("{PROBES}static_configs: [{{targets: ['http://a', 'http://b', 'http://a']}}]");
    let expected = "job \"p\": 2 targets end in the same labels {instance=\"blackbox\", job=\"p\"} after relabelling \
         (http://bb:9115/probe?target=http%3A%2F%2Fa, http://bb:9115/probe?target=http%3A%2F%2Fb), so that their samples \
         mix in the same series; tell them apart, for example by {source_labels: [__param_target], target_label: \
         instance} as the last of the relabel_configs";
    assert_eq!(label_clashes(&jobs(&[&two], Path::new("/")), false), [expected]);
    let mended = two.replace(
        "- {target_label: __address__",
        "- {source_labels: [__param_target], target_label: instance}\n- {target_label: __address__",
    );
    for good in [mended.as_str(), "{job_name: a, static_configs: [{targets: ['a:1', 'a:1', 'b:1']}]}"] {
        assert_eq!(label_clashes(&jobs(&[good], Path::new("/")), false), [""; 0], "{good}");
    }

    // Between jobs, and with targets in a file.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.json"), "[{\"targets\": [\"a:1\"], \"labels\": {\"job\": \"x\"}}]").unwrap();
    let both = jobs(
        &[
            "{job_name: x, metrics_path: /one, static_configs: [{targets: ['a:1']}]}",
            "{job_name: y, file_sd_configs: [{files: [t.json]}]}",
        ],
        folder.path(),
    );
    assert!(label_clashes(&both, false).is_empty());
    let said = label_clashes(&both, true);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("jobs \"x\", \"y\": 2 targets end in the same labels {instance=\"a:1\", job=\"x\"}"),
        "{said:?}"
    );
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("0", Some(0)),
        ("1KB", Some(1024)),
        ("15MB", Some(15 << 20)),
        ("1GiB", Some(1 << 30)),
        ("10", None),
        ("x", None),
    ] {
        assert_eq!(parse_size(text).ok(), bytes, "{text}");
    }
}

#[derive(Deserialize)]
struct Root {
    #[serde(default)]
    scrape_configs: Vec<Option<ScrapeConfig>>,
}

/// Verdicts on the files whose faults are in `scrape_configs`; those about mechanisms that are opaque to us are counted apart.
#[test]
fn conformance() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/config"));
    let Ok(verdicts) = std::fs::read_to_string(folder.join("verdicts.tsv")) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let mut wrong = Vec::new();
    let mut right = 0;
    for line in verdicts.lines() {
        let mut words = line.split('\t');
        let (Some(file), Some(verdict)) = (words.next(), words.next()) else { continue };
        if !file.starts_with("prometheus/") || !file.ends_with(".yml") {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        // Only the section of jobs is ours.
        let Some(at) = text
            .find("\nscrape_configs:")
            .map(|at| at + 1)
            .or_else(|| text.starts_with("scrape_configs:").then_some(0))
        else {
            continue;
        };
        let section = &text[at..];
        let next_key = |i: usize| section[i + 1..].starts_with(|c: char| c.is_ascii_alphabetic());
        let end = section.match_indices('\n').find(|(i, _)| next_key(*i)).map_or(section.len(), |(i, _)| i + 1);
        let outcome = match yaml::from_str::<Root>(file, &section[..end]) {
            Err(faults) => Err(faults.to_string()),
            Ok(root) => root
                .scrape_configs
                .iter()
                .map(|config| match config {
                    None => Err("empty or null scrape config section".to_owned()),
                    Some(config) => config
                        .resolve(
                            &GlobalScrapeDefaults { scrape_interval: Duration::from_secs(60), ..Default::default() },
                            folder,
                        )
                        .map(|_| ())
                        .map_err(|faults| format!("{faults:?}")),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(|_| ()),
        };
        match (verdict, outcome) {
            ("accept", Err(error)) => wrong.push(format!("{file}: refused: {error}")),
            ("accept", Ok(())) => right += 1,
            (_, Err(_)) => right += 1,
            (_, Ok(())) => println!("not refused here (another section's or an opaque mechanism's fault): {file}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(right > 60, "only {right}");
}

/// Configurations from courses and examples: all must be taken.
#[test]
fn classic_configurations() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/config/classic"));
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    #[derive(Deserialize)]
    struct Lax {
        scrape_configs: Vec<ScrapeConfig>,
    }
    let (mut folders, mut taken) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if !text.lines().any(|line| line.trim_end() == "scrape_configs:") {
                continue;
            }
            let name = path.display().to_string();
            let lax: Lax = yaml::from_str(&name, &text).unwrap_or_else(|faults| panic!("{faults}"));
            let mut resolved = Vec::new();
            for config in lax.scrape_configs {
                match config.resolve(&GlobalScrapeDefaults::default(), Path::new("/")) {
                    Ok(job) => resolved.push(job),
                    Err(faults) => panic!("{name}: {faults:?}"),
                }
                taken += 1;
            }
            // The one that its readers fall for.
            assert_eq!(
                label_clashes(&resolved, false).len(),
                usize::from(name.ends_with("blackbox-job.yml")),
                "{name}"
            );
        }
    }
    assert!(taken > 0);
    println!("{taken} jobs");
}
