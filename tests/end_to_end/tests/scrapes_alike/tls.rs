//! A target behind TLS and a password: who gets in, and who does not, with which error.

use super::target::read_api;
use anyhow::{Result, ensure};
use harness::{Program, Vigie, free_port, peer, until, vigie::binary};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// Made by bcrypt for "secret", with few rounds for to be quick.
const HASH: &str = "$2b$05$fH66594sb2NQyt0yfV0zM.xSoBDg5hFdiIP4VHNbn9km5KMFHAxVK";

/// Jobs, what they say beside the target, and a word of the error (of both servers), "" where there is none.
const JOBS: [(&str, &str, &str); 8] = [
    ("good", "tls_config: {ca_file: <CA>}, basic_auth: {username: alice, password: secret}", ""),
    ("inline", "tls_config: {ca: <PEM>}, basic_auth: {username: alice, password: secret}", ""),
    ("trusting", "tls_config: {insecure_skip_verify: true}, basic_auth: {username: alice, password: secret}", ""),
    ("password_file", "tls_config: {ca_file: <CA>}, basic_auth: {username: alice, password_file: <PASSWORD>}", ""),
    ("unknown_authority", "basic_auth: {username: alice, password: secret}", "cert"),
    ("other_name", "tls_config: {ca_file: <CA>, server_name: other.example}", "cert"),
    ("no_password", "tls_config: {ca_file: <CA>}", "401"),
    ("old", "tls_config: {ca_file: <CA>, max_version: TLS12}, basic_auth: {username: alice, password: secret}", ""),
];

#[test]
fn targets_behind_tls_are_scraped_alike() -> Result<()> {
    let Some(prometheus) = peer("prometheus") else { return Ok(()) };
    let (folder, port, their_port) = (tempfile::tempdir()?, free_port()?, free_port()?);
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    write("cert.pem", &made.cert.pem())?;
    write("key.pem", &made.signing_key.serialize_pem())?;
    write("password", "secret\n")?;
    write(
        "web.yml",
        &format!(
            "tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{alice: {HASH}}}\n"
        ),
    )?;
    let _target = Program::start(
        "target",
        Command::new(binary()?)
            .current_dir(&folder)
            .args(["--web.config.file=web.yml", "--storage.tsdb.path=target"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        folder.path(),
    )?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut config = "global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n".to_owned();
    for (name, more, _) in JOBS {
        let more = more
            .replace("<PASSWORD>", &path("password"))
            .replace("<CA>", &path("cert.pem"))
            .replace("<PEM>", &serde_json::to_string(&made.cert.pem())?);
        config.push_str(&format!(
            "- {{job_name: {name}, scheme: https, static_configs: [{{targets: ['127.0.0.1:{port}']}}], {more}}}\n"
        ));
    }
    write("prometheus.yml", &config)?;
    let running = Program::start(
        "prometheus",
        Command::new(&prometheus)
            .current_dir(&folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{their_port}")),
        folder.path(),
    )?;
    let vigie = Vigie::start(Some(&config), &[])?;
    for base in [format!("http://127.0.0.1:{their_port}"), vigie.url("")] {
        let done = until(SOON, &base, || {
            for (name, _, error) in JOBS {
                let targets = read_api(&base, &format!("/api/v1/targets?scrapePool={name}"))?;
                let target = &targets["activeTargets"][0];
                let said = target["lastError"].as_str().unwrap_or_default();
                let health = if error.is_empty() { "up" } else { "down" };
                ensure!(
                    target["health"] == health && said.contains(error),
                    "{name} is {} by {said:?}",
                    target["health"]
                );
            }
            Ok(())
        });
        done.map_err(|error| error.context(running.output()))?;
    }
    Ok(())
}
