//! `--web.config.file` before a real client: who gets in by which certificate and password, and over which protocol.

use anyhow::{Result, ensure};
use harness::vigie::binary;
use harness::{Program, free_port, peers, until};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// Made by bcrypt for "secret", with few rounds to be quick.
const HASH: &str = "$2b$05$fH66594sb2NQyt0yfV0zM.xSoBDg5hFdiIP4VHNbn9km5KMFHAxVK";

/// An authority `NAME-ca.pem`, and what it signs: `NAME-PURPOSE.pem` and `.key` for each purpose and name of a host.
fn authority(folder: &Path, name: &str, certificates: &[(&str, &str, ExtendedKeyUsagePurpose)]) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    // An issuer and what it signs must not have one name.
    params.distinguished_name.push(DnType::CommonName, format!("{name} authority"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join(format!("{name}-ca.pem")), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    for (purpose, host, usage) in certificates {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![(*host).to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, *host);
        params.extended_key_usages = vec![usage.clone()];
        std::fs::write(folder.join(format!("{name}-{purpose}.pem")), params.signed_by(&key, &issuer)?.pem())?;
        std::fs::write(folder.join(format!("{name}-{purpose}.key")), key.serialize_pem())?;
    }
    Ok(())
}

/// What is configured beside the server's certificate, what curl brings along, and what comes of it: a status with the
/// version of HTTP, or `refused` for a connection that does not come about.
const CASES: &[(&str, &[(&str, &str)])] = &[
    (
        "client_auth_type: RequireAndVerifyClientCert, client_ca_file: own-ca.pem",
        &[
            ("", "refused"),
            ("--cert own-client.pem --key own-client.key", "200 2"),
            ("--cert own-client.pem --key own-client.key --http1.1", "200 1.1"),
            ("--cert own-client.pem --key own-client.key --tls-max 1.2", "200 2"),
            ("--cert other-client.pem --key other-client.key", "refused"),
            // A certificate of a server is none of a client.
            ("--cert own-server.pem --key own-server.key", "refused"),
        ],
    ),
    (
        "client_auth_type: RequireAndVerifyClientCert, client_ca_file: own-ca.pem, client_allowed_sans: [allowed.example]",
        &[
            ("--cert own-client.pem --key own-client.key", "refused"),
            ("--cert own-allowed.pem --key own-allowed.key", "200 2"),
        ],
    ),
    (
        "client_auth_type: VerifyClientCertIfGiven, client_ca_file: own-ca.pem",
        &[
            ("", "200 2"),
            ("--cert own-client.pem --key own-client.key", "200 2"),
            ("--cert other-client.pem --key other-client.key", "refused"),
        ],
    ),
    (
        "client_auth_type: RequireAnyClientCert",
        &[("", "refused"), ("--cert other-client.pem --key other-client.key", "200 2")],
    ),
    (
        "client_auth_type: RequestClientCert",
        &[("", "200 2"), ("--cert other-client.pem --key other-client.key", "200 2")],
    ),
    ("min_version: TLS13", &[("", "200 2"), ("--tls-max 1.2", "refused")]),
    ("max_version: TLS12", &[("", "200 2"), ("--tlsv1.3", "refused")]),
];

fn curl(folder: &Path, url: &str, args: &str) -> Result<Output> {
    let mut curl = Command::new("curl");
    curl.current_dir(folder).args(["--silent", "--cacert", "own-ca.pem", "--max-time", "20", "--output", "/dev/null"]);
    curl.args(["--write-out", "%{http_code} %{http_version}"]).args(args.split_whitespace()).arg(url);
    Ok(curl.output()?)
}

fn what_came(output: &Output) -> String {
    if output.status.success() { String::from_utf8_lossy(&output.stdout).into_owned() } else { "refused".to_owned() }
}

fn start(folder: &Path, web: &str) -> Result<(Program, String)> {
    std::fs::write(folder.join("web.yml"), web)?;
    let port = free_port()?;
    let program = Program::start(
        "vigie",
        Command::new(binary()?)
            .current_dir(folder)
            .args(["--web.config.file=web.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        folder,
    )?;
    until(Duration::from_secs(30), "the server listens", || Ok(std::net::TcpStream::connect(("127.0.0.1", port))?))?;
    Ok((program, format!("https://localhost:{port}/-/healthy")))
}

fn has_curl() -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        peers::skip("there is no curl");
    }
    there
}

#[test]
fn certificates_of_clients() -> Result<()> {
    if !has_curl() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (client, server) = (ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth);
    let own = [
        ("server", "localhost", server),
        ("client", "someone.example", client.clone()),
        ("allowed", "allowed.example", client.clone()),
    ];
    authority(folder.path(), "own", &own)?;
    authority(folder.path(), "other", &[("client", "someone.example", client)])?;
    let mut wrong = Vec::new();
    for (settings, clients) in CASES {
        let web = format!("tls_server_config: {{cert_file: own-server.pem, key_file: own-server.key, {settings}}}\n");
        let (_running, url) = start(folder.path(), &web)?;
        for (args, expected) in *clients {
            let output = curl(folder.path(), &url, args)?;
            let came = what_came(&output);
            if came != *expected {
                wrong.push(format!("{settings}, curl {args}: {came}, and not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn passwords_headers_and_protocols() -> Result<()> {
    if !has_curl() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    authority(folder.path(), "own", &[("server", "localhost", ExtendedKeyUsagePurpose::ServerAuth)])?;
    let web = format!(
        "tls_server_config: {{cert_file: own-server.pem, key_file: own-server.key}}
http_server_config:
  http2: false
  headers: {{X-Frame-Options: deny, X-Content-Type-Options: nosniff, Strict-Transport-Security: max-age=31536000, Content-Security-Policy: \"default-src 'self'\", X-XSS-Protection: '0'}}
basic_auth_users: {{alice: {HASH}, bob: {HASH}}}
"
    );
    let (_running, url) = start(folder.path(), &web)?;
    // Without HTTP/2, as configured.
    for (args, expected) in [
        ("--user alice:secret", "200 1.1"),
        ("--user bob:secret", "200 1.1"),
        ("--user alice:guess", "401 1.1"),
        ("--user carol:secret", "401 1.1"),
        ("--user :", "401 1.1"),
        ("", "401 1.1"),
        ("--header Authorization:Bearer-secret", "401 1.1"),
    ] {
        assert_eq!(what_came(&curl(folder.path(), &url, args)?), expected, "curl {args}");
    }
    // Headers come with refusals, too.
    for user in ["alice:secret", "alice:guess"] {
        let output = Command::new("curl")
            .current_dir(&folder)
            .args([
                "--silent",
                "--cacert",
                "own-ca.pem",
                "--dump-header",
                "-",
                "--output",
                "/dev/null",
                "--user",
                user,
                &url,
            ])
            .output()?;
        let head = String::from_utf8_lossy(&output.stdout).to_lowercase();
        for header in [
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "strict-transport-security: max-age=31536000",
            "content-security-policy: default-src 'self'",
            "x-xss-protection: 0",
        ] {
            ensure!(head.contains(header), "{user}: no {header} in\n{head}");
        }
    }
    // No encryption is no way in.
    let plain = url.replace("https:", "http:");
    assert_ne!(what_came(&curl(folder.path(), &plain, "--user alice:secret")?), "200 1.1");
    Ok(())
}
