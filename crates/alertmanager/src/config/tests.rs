use super::*;

/// What follows `route: {receiver: a}` and `receivers: [{name: a}]`, `=>`, what the faults contain; `ok` for none.
const CASES: &str = "
route: {receiver: a} | receivers: [{name: a}] => ok
receivers: [{name: a}] => no route provided in config
route: {group_by: [a]} | receivers: [{name: a}] => root route must specify a default receiver
route: {receiver: a, matchers: ['a=b']} | receivers: [{name: a}] => root route must not have any matchers
route: {receiver: a, continue: true} | receivers: [{name: a}] => cannot have continue in root route
route: {receiver: a, mute_time_intervals: [x]} | receivers: [{name: a}] => root route must not have any mute time intervals
route: {receiver: a, active_time_intervals: [x]} | receivers: [{name: a}] => root route must not have any active time intervals
route: {receiver: a} | receivers: [{name: ''}] => missing name in receiver
route: {receiver: a} | receivers: [{name: a}, {name: a}] => x.yml:2:31: receivers[1].name: notification config name \"a\" is not unique
route: {receiver: a, routes: [{routes: [{receiver: b}]}]} | receivers: [{name: a}] => undefined receiver \"b\" used in route
route: {receiver: a, routes: [{mute_time_intervals: [x]}]} | receivers: [{name: a}] => undefined time interval \"x\" used in route
route: {receiver: a} | receivers: [{name: a}] | time_intervals: [{time_intervals: []}] => missing name in time interval
route: {receiver: a} | receivers: [{name: a}] | time_intervals: [{name: t}, {name: t}] => time interval \"t\" is not unique
route: {receiver: a, group_by: [x, x]} | receivers: [{name: a}] => duplicated label \"x\" in group_by
route: {receiver: a, group_by: ['...', x]} | receivers: [{name: a}] => cannot have wildcard group_by (`...`) and other labels at the same time
route: {receiver: a, group_interval: 0s} | receivers: [{name: a}] => group_interval cannot be zero
route: {receiver: a, repeat_interval: 0s} | receivers: [{name: a}] => repeat_interval cannot be zero
route: {receiver: a, nosuch: 1} | receivers: [{name: a}] => nosuch
route: {receiver: a, routes: [{matchers: ['a=~(']}]} | receivers: [{name: a}] => error parsing regexp
route: {receiver: a} | receivers: [{name: a, webhook_configs: [{url: 'ftp://x/'}]}] => unsupported scheme \"ftp\" for URL
route: {receiver: a} | receivers: [{name: a, webhook_configs: [{max_alerts: 1}]}] => one of url or url_file must be configured
route: {receiver: a} | receivers: [{name: a}] | inhibit_rules: [null] => ok
";

#[test]
fn what_loads_and_what_not() {
    for case in CASES.trim().lines() {
        let (text, expected) = case.split_once(" => ").unwrap();
        let said = match Config::parse("x.yml", &text.replace(" | ", "\n")) {
            Ok(_) => "ok".to_owned(),
            Err(faults) => faults.to_string(),
        };
        assert!(said.contains(expected), "{said}\nin case `{text}`");
    }
}

#[test]
fn secrets_are_not_shown() {
    let config = Config::parse("x.yml", "global: {smtp_auth_password: hush, smtp_smarthost: 'h:25', smtp_from: f}\nroute: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{url: 'http://hush/'}]\n").unwrap();
    let shown = config.shown();
    assert!(!shown.contains("hush") && shown.contains("smarthost: h:25"), "{shown}");
    assert!(Config::parse("x.yml", &shown.replace("<secret>", "http://h/")).is_ok(), "{shown}");
}
