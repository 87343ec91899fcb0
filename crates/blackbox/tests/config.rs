//! `blackbox.yml`: upstream's files, and what is said about bad ones.

use blackbox::{Config, conformance::config_verdicts};
use std::path::Path;

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn upstreams_verdicts() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/config"));
    let Ok(verdicts) = config_verdicts(folder) else {
        eprintln!("skipped: {} is absent", folder.display());
        return;
    };
    assert_eq!(verdicts.wrong, "");
    assert!(verdicts.total >= 15, "only {} files", verdicts.total);
}

/// A module's body, then what is said.
const BAD: &[(&str, &str)] = &[
    ("{prober: http, tiemout: 3s}", "2:21: modules.m.tiemout: unknown field `tiemout`; did you mean `timeout`?"),
    ("{timeout: 3}", "2:16: modules.m.timeout: invalid duration \"3\"; write for example 5s or 1m30s"),
    (
        "{http: {fail_if_body_matches_regexp: ['a(']}}",
        "2:44: modules.m.http.fail_if_body_matches_regexp[0]: \"Could not compile regular expression\" regexp=\"a(\": \
         error parsing regexp: missing closing ): `a(`",
    ),
    ("{http: {body: a, body_file: b}}", "2:20: modules.m.http.body: setting body and body_file both are not allowed"),
    (
        "{http: {fail_if_header_matches: [{header: a}]}}",
        "2:39: modules.m.http.fail_if_header_matches[0]: regexp must be set for HTTP header matchers",
    ),
    ("{dns: {query_type: A}}", "2:7: modules.m.dns: query name must be set for DNS module"),
    ("{dns: {query_name: a, query_type: BOO}}", "2:40: modules.m.dns.query_type: query type 'BOO' is not valid"),
    ("{icmp: {ttl: 256}}", "2:19: modules.m.icmp.ttl: \"ttl\" cannot exceed 255"),
    (
        "{http: {compression: gzip, headers: {accept-encoding: deflate}}}",
        "2:33: modules.m.http.headers: invalid configuration \"Accept-Encoding: deflate\", \"compression: gzip\"",
    ),
    (
        "{http: {body_size_limit: many}}",
        "2:31: modules.m.http.body_size_limit: invalid size \"many\"; write for example 512KB or 10MB",
    ),
    (
        "{http: {basic_auth: {username: a}, bearer_token: b}}",
        "2:7: modules.m.http: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
    ),
];

#[test]
fn bad_modules() {
    let mut wrong = String::new();
    for (module, expected) in BAD {
        let error = Config::load("b.yml", &format!("modules:\n  m: {module}\n")).unwrap_err().to_string();
        if error != format!("b.yml:{expected}") {
            wrong += &format!("{module}\n  {error}\n  expected {expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_counts_is_shown() {
    let text = "modules:\n  m:\n    prober: http\n    timeout: 1m30s\n    http:\n      basic_auth: {username: u, password: p}\n      valid_status_codes: [200, 301]\n      headers: {X-A: 'yes', X-B: 'a: b'}\n      body_size_limit: 5KB\n";
    let shown = Config::load("b.yml", text).unwrap().to_yaml();
    for line in [
        "        timeout: 1m30s\n",
        "                - 200\n                - 301\n",
        "                password: <secret>\n",
        "                X-A: \"yes\"\n                X-B: \"a: b\"\n",
        "            body_size_limit: 5KiB\n",
        "            follow_redirects: true\n",
        "        icmp:\n            ip_protocol_fallback: true\n            ttl: 64\n",
    ] {
        assert!(shown.contains(line), "no `{line}` in:\n{shown}");
    }
    // What is shown can be read again.
    assert_eq!(Config::load("shown", &shown).unwrap().to_yaml(), shown);
    assert!(Config::default_modules().unwrap().modules.contains_key("http_2xx"));
}
