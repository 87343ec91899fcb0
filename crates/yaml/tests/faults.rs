//! Documents and what is said about them.

#![expect(dead_code, reason = "fields are read by their Debug form")]

use expect_test::{Expect, expect};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    #[serde(default)]
    global: Global,
    #[serde(default)]
    rule_files: Vec<String>,
    #[serde(default)]
    scrape_configs: Vec<Job>,
    #[serde(default)]
    anything: Option<Vec<Job>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Global {
    scrape_interval: String,
    external_labels: BTreeMap<String, String>,
    sample_limit: u16,
    ratio: f64,
}

impl Default for Global {
    fn default() -> Self {
        Global { scrape_interval: "15s".into(), external_labels: BTreeMap::new(), sample_limit: 7, ratio: 0.5 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, try_from = "JobAsWritten")]
struct Job(JobAsWritten);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobAsWritten {
    job_name: String,
    #[serde(default)]
    scheme: Scheme,
    #[serde(default)]
    honor_labels: bool,
    #[serde(default)]
    targets: Vec<String>,
    port: Option<u16>,
}

impl TryFrom<JobAsWritten> for Job {
    type Error = String;
    fn try_from(job: JobAsWritten) -> Result<Self, String> {
        if job.honor_labels && job.scheme == Scheme::Https {
            return Err(format!("job \"{}\": honor_labels and https contradict each other; remove one", job.job_name));
        }
        Ok(Job(job))
    }
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    #[default]
    Http,
    Https,
}

fn said(text: &str) -> String {
    match yaml::from_str::<Root>("f.yml", text) {
        Ok(root) => format!("{root:?}"),
        Err(faults) => faults.to_string(),
    }
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&said(text));
}

#[test]
fn ten_faults_in_one_go() {
    check(
        "\
global:
  scrape_intervall: 15s
  sample_limit: 70000
  ratio: half
  external_labels: [a]
rule_files: first.yml
scrape_configs:
  - job_nam: a
  - job_name: [a]
    honor_labels: maybe
  - job_name: b
    scheme: htps
    port: \"80\"
  - targets: [x]
  - job_name: c
    targets: {a: b}
  - job_name: d
    job_name: e
  -
",
        expect![[r#"
            f.yml:2:3: global.scrape_intervall: unknown field `scrape_intervall`; did you mean `scrape_interval`?
            f.yml:3:17: global.sample_limit: expected a whole number from 0 to 65535, got integer `70000`
            f.yml:4:10: global.ratio: expected a number, got `half`
            f.yml:5:3: global.external_labels: expected a map, got a list; write `key: value` on lines of their own
            f.yml:6:13: rule_files: expected a list, got `first.yml`; begin each item with `- ` on a line of its own
            f.yml:8:5: scrape_configs[0].job_nam: unknown field `job_nam`; did you mean `job_name`?
            f.yml:9:5: scrape_configs[1].job_name: expected text, got a list; text that begins with `[` or `{` needs quotes
            f.yml:10:19: scrape_configs[1].honor_labels: expected true or false, got `maybe`
            f.yml:12:13: scrape_configs[2].scheme: unknown value `htps`; did you mean `https`?
            f.yml:13:11: scrape_configs[2].port: expected a whole number, got the text "80"; remove the quotes
            f.yml:14:5: scrape_configs[3]: missing field `job_name`; add `job_name: …` here
            f.yml:16:5: scrape_configs[4].targets: expected a list, got a map; begin each item with `- ` on a line of its own
            f.yml:18:5: scrape_configs[5].job_name: `job_name` is given twice, first in line 17; remove one
            f.yml:19:4: scrape_configs[6]: the list item is empty; write its fields after the `- `, or remove it"#]],
    );
}

#[test]
fn scalars_are_what_is_wanted() {
    check(
        "\
global:
  scrape_interval:
  external_labels: {a: yes, b: 1.10, c: 0777, d: null, e: \"null\", f: 2024-01-01, on: off}
  sample_limit: 0x10
  ratio: 1_000
scrape_configs:
- {job_name: 12, honor_labels: on, scheme: , port: ~}
- {job_name: , honor_labels: no, targets: }
",
        expect![[
            r#"Root { global: Global { scrape_interval: "15s", external_labels: {"a": "yes", "b": "1.10", "c": "0777", "d": "", "e": "null", "f": "2024-01-01", "on": "off"}, sample_limit: 16, ratio: 1000.0 }, rule_files: [], scrape_configs: [Job(JobAsWritten { job_name: "12", scheme: Http, honor_labels: true, targets: [], port: None }), Job(JobAsWritten { job_name: "", scheme: Http, honor_labels: false, targets: [], port: None })], anything: None }"#
        ]],
    );
    check(
        "",
        expect![[
            r#"Root { global: Global { scrape_interval: "15s", external_labels: {}, sample_limit: 7, ratio: 0.5 }, rule_files: [], scrape_configs: [], anything: None }"#
        ]],
    );
    check(
        "# nothing\n---\n",
        expect![[
            r#"Root { global: Global { scrape_interval: "15s", external_labels: {}, sample_limit: 7, ratio: 0.5 }, rule_files: [], scrape_configs: [], anything: None }"#
        ]],
    );
}

#[test]
fn aliases_and_merges() {
    check(
        "\
scrape_configs:
- &base {job_name: a, port: 1, targets: &t [x, y]}
- {<<: *base, job_name: b}
- <<: [{port: 3}, *base]
  targets: *t
",
        expect![[
            r#"Root { global: Global { scrape_interval: "15s", external_labels: {}, sample_limit: 7, ratio: 0.5 }, rule_files: [], scrape_configs: [Job(JobAsWritten { job_name: "a", scheme: Http, honor_labels: false, targets: ["x", "y"], port: Some(1) }), Job(JobAsWritten { job_name: "b", scheme: Http, honor_labels: false, targets: ["x", "y"], port: Some(1) }), Job(JobAsWritten { job_name: "a", scheme: Http, honor_labels: false, targets: ["x", "y"], port: Some(3) })], anything: None }"#
        ]],
    );
    // A fault behind an alias is told once.
    check(
        "scrape_configs:\n- &a {job_name: a, prt: 1}\n- *a\n- {<<: *a, job_name: b, <<: 3}\n",
        expect![[r#"
            f.yml:2:20: scrape_configs[0].prt: unknown field `prt`; did you mean `port`?
            f.yml:4:25: scrape_configs[2]: `<<` takes a map, an alias of one, or a list of such"#]],
    );
    check(
        "rule_files: &a [*a]\n",
        expect!["f.yml:1:17: rule_files[0]: the anchor contains itself through this alias; write the value out"],
    );
}

#[test]
fn consequences_are_not_told() {
    // The typed check of the whole would fail as well, and the field that was cut would be missing.
    check(
        "scrape_configs:\n- {job_name: [x], honor_labels: true, scheme: https}\n- {job_name: x, honor_labels: true, scheme: https}\n",
        expect![[r#"
            f.yml:2:4: scrape_configs[0].job_name: expected text, got a list; text that begins with `[` or `{` needs quotes
            f.yml:3:3: scrape_configs[1]: job "x": honor_labels and https contradict each other; remove one"#]],
    );
}

#[test]
fn syntax() {
    const TEXTS: [&str; 11] = [
        "a: b: c\n",
        "global:\n\tratio: 1\n",
        "rule_files: [a\nscrape_configs: []\n",
        "rule_files: \"a\n",
        "global:\n   ratio: 1\n  sample_limit: 3\n",
        "rule_files:\n- @a\n",
        "rule_files: *b\n",
        "{{ a }}: b\n",
        "[a]: b\n",
        "- a\n",
        "just words\n",
    ];
    expect![[r#"
        f.yml:1:5: not YAML: mapping values are not allowed in this context; text that contains `: ` needs quotes, and keys of one map the same indentation
        f.yml:2:2: global: not YAML: tabs disallowed within this context (block indentation); indent with spaces
        f.yml:2:15: rule_files[0]: not YAML: illegal placement of ':' indicator; close the bracket before, or quote text that begins with `[` or `{`
        f.yml:1:13: rule_files: not YAML: while scanning a quoted scalar, found unexpected end of stream; close the quotes
        f.yml:3:3: not YAML: while parsing a block mapping, did not find expected key; see that keys of one map have the same indentation
        f.yml:2:3: rule_files[0]: not YAML: unexpected character: `@'; text that begins with it needs quotes
        f.yml:1:13: rule_files: not YAML: while parsing node, found unknown anchor; add `&name` to the value that is meant, above this line
        f.yml:1:1: a key must be a single word or text, not a list or map; quote text that begins with `[` or `{`
        f.yml:1:2: a key must be a single word or text, not a list or map; quote text that begins with `[` or `{`
        f.yml:1:1: a key must be a single word or text, not a list or map; quote text that begins with `[` or `{`
        f.yml:1:1: expected a map, got a list; write `key: value` on lines of their own
        f.yml:1:1: expected a map, got `just words`; write `key: value` on lines of their own"#]].assert_eq(&TEXTS.map(said).join("\n"));
}

#[test]
fn limits() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb += &format!("a{i}: &a{i} [{aliases}]\n");
    }
    let bombed = yaml::from_str::<serde_json::Value>("f.yml", &bomb).unwrap_err();
    assert_eq!(bombed.faults.len(), 1);
    expect!["aliases multiply this document beyond every measure; write it out"].assert_eq(&bombed.faults[0].message);

    for (deep, expected) in [
        ("- ".repeat(200), expect!["f.yml:1:257: : nested deeper than 128 levels; flatten it"]),
        ("[".repeat(100_000), expect!["f.yml:1:256: not YAML: recursion limit exceeded; flatten the nesting"]),
    ] {
        let said = yaml::from_str::<serde_json::Value>("f.yml", &deep).unwrap_err().to_string();
        expected.assert_eq(&said.replace("[0]", ""));
    }

    let many: String = (0..1000).map(|i| format!("f{i}: 1\n")).collect();
    assert_eq!(yaml::from_str::<Root>("f.yml", &many).unwrap_err().faults.len(), 100);
}

#[test]
fn places() {
    let text = "global:\n  ratio: 1\nscrape_configs:\n- job_name: a.b\n  targets: [x, y]\n";
    let (_, places) = yaml::from_str_with_places::<Root>("f.yml", text).unwrap();
    for (path, expected) in [
        ("global", "1:1"),
        ("global.ratio", "2:10"),
        ("scrape_configs[0]", "4:3"),
        ("scrape_configs[0].targets[1]", "5:16"),
        ("scrape_configs[0].port", "4:3"),
        ("scrape_configs[9].port", "3:1"),
        ("globe", "1:1"),
        ("", "1:1"),
    ] {
        let fault = places.fault(path, "wrong");
        assert_eq!(format!("{}:{}", fault.line, fault.column), expected, "path {path}");
    }
    let (_, places) =
        yaml::from_str_with_places::<BTreeMap<String, BTreeMap<String, u8>>>("f.yml", "a: {b: 1}\na.b: {b: 2}\n")
            .unwrap();
    assert_eq!(places.place("a.b.b"), Some((2, 10)), "keys may hold dots");
}

#[test]
fn any_value() {
    let value: serde_json::Value = yaml::from_str(
        "f.yml",
        "{a: 1, b: -1, c: 1.5, d: yes, e: y, f: , g: '1', h: [x], i: !!str 3, j: 0o17, k: 1e3}",
    )
    .unwrap();
    expect![[r#"{"a":1,"b":-1,"c":1.5,"d":true,"e":"y","f":null,"g":"1","h":["x"],"i":"3","j":15,"k":1000.0}"#]]
        .assert_eq(&value.to_string());
}

#[test]
fn binary_is_decoded() {
    let texts: Vec<String> = yaml::from_str("f.yml", "[!!binary aGVsbG8=, !!str 3]").unwrap();
    assert_eq!(texts, ["hello", "3"]);
    expect!["f.yml:1:2: [0]: expected text, got binary data that is no UTF-8"]
        .assert_eq(&yaml::from_str::<Vec<String>>("f.yml", "[!!binary AAAACATSFi8=]").unwrap_err().to_string());
}

#[test]
fn speed_is_linear() {
    // 2 MB in far less than a second even unoptimised; a quadratic reader would take minutes.
    let job =
        "- job_name: a\n  targets: [a, b]\n  scheme: https\n  port: 1\n  # a comment that fills the line up somewhat\n";
    let text = format!("scrape_configs:\n{}", job.repeat(2_000_000 / job.len()));
    let faulty = format!("{text}- job: x\n");
    assert_eq!(yaml::from_str::<Root>("f.yml", &faulty).unwrap_err().faults.len(), 2);
    assert!(yaml::from_str::<Root>("f.yml", &text).is_ok());
}
