use super::*;
use functions::{PrometheusHost, Sample};
use model::Labels;

/// A template, `=>`, its output or its error. `\n` stands for a newline. Data: see `data`.
const CASES: &str = r#"
a{{/* c */}}b {{- "x" -}}  c => abxc
{{ .s }} {{ .n }} {{ .f }} {{ .t }} => text 7 1.5 true
{{ .labels.job }}|{{ .labels.none }}|{{ .none }} => api||<no value>
{{ if .t }}1{{ else }}2{{ end }}{{ if eq .n 8 }}3{{ else if eq .n 7 }}4{{ else }}5{{ end }} => 14
{{ range .list }}[{{ . }}]{{ end }}{{ range $i, $x := .list }}{{ $i }}={{ $x }};{{ end }} => [a][b][c]0=a;1=b;2=c;
{{ range $k, $v := .labels }}{{ $k }}:{{ $v }} {{ end }} => instance:a:80 job:api zone:x 
{{ range .empty }}x{{ else }}none{{ end }} => none
{{ range .list }}{{ if eq . "b" }}{{ continue }}{{ end }}{{ . }}{{ if eq . "c" }}{{ break }}{{ end }}{{ end }} => ac
{{ range $i := 3 }}{{ $i }}{{ end }} => 012
{{ with .s }}{{ . }}{{ $.n }}{{ else }}no{{ end }}{{ with .none }}x{{ else with .f }}{{ . }}{{ end }} => text71.5
{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }} => 2
{{ define "d" }}<{{ . }}>{{ end }}{{ template "d" .s }}{{ template "d" 5 }} => <text><5>
{{ block "b" .n }}({{ . }}){{ end }} => (7)
{{ "a" | printf "%s-%s" "b" }} {{ printf "%.2f%%" .f }} => b-a 1.50%
{{ (index .list 1) }}{{ index .labels "job" }}{{ len .list }}{{ len .s }}{{ slice .s 1 3 }} => bapi34ex
{{ and .t .s }} {{ or .none .n }} {{ not .t }} {{ and false .none.x }} => text 7 false false
{{ eq .s "a" "text" }} {{ ne 1 2 }} {{ lt 1 2 }} {{ ge 1.5 1.5 }} {{ gt "b" "a" }} => true true true true true
{{ html "<a&'b>" }} {{ urlquery "a b&c" }} {{ js "it's" }} => &lt;a&amp;&#39;b&gt; a+b%26c it\'s
{{ print 1 2 "x" 3 }}{{ println "a" 1 }} => 1 2x3a 1\n
{{ `raw "x"` }} {{ 'a' }} {{ 0x10 }} {{ 1_000 }} {{ -3 }} {{ 1e3 }} => raw "x" 97 16 1000 -3 1000
{{ $a := index .list 0 }}{{ $a | toUpper }} => A
{{ .labels.job
  | toUpper }} => API
{{ .s.x }} => template: t:1:4: executing "t" at <.s.x>: can't evaluate field x in type string
{{ eq 1 1.0 }} => template: t:1:4: executing "t" at <eq 1 1.0>: error calling eq: incompatible types for comparison
{{ nosuch }} => template: t:1:4: function "nosuch" not defined
{{ $y }} => template: t:1:4: undefined variable "$y"
{{ if }}x{{ end }} => template: t:1:7: missing value for if
{{ range .list }} => template: t:1:18: unexpected EOF
a{{ end }} => template: t:1:9: unexpected {{end}}
{{ "x => template: t:1:4: unterminated quoted string
{{ break }} => template: t:1:10: {{break}} outside {{range}}
{{ template "no" }} => template: t:1:13: executing "t" at <"no">: template "no" not defined
{{ humanize 1234567.0 }} {{ humanize 0.00123 }} {{ humanize 0 }} {{ humanize1024 1048576.0 }} => 1.235M 1.23m 0 1Mi
{{ humanizeDuration 93784 }} {{ humanizeDuration 61 }} {{ humanizeDuration 1.2345 }} {{ humanizeDuration 0.0123 }} => 1d 2h 3m 4s 1m 1s 1.234s 12.3ms
{{ humanizePercentage 0.12345 }} {{ humanizeTimestamp 1435065584.128 }} => 12.35% 2015-06-23 13:19:44.128 +0000 UTC
{{ stripPort "a.b:80" }} {{ stripPort "[::1]:80" }} {{ stripPort "a" }} {{ stripDomain "h.x.y:80" }} {{ stripDomain "10.0.0.1:80" }} => a.b ::1 a h:80 10.0.0.1:80
{{ reReplaceAll "https?://([^/]+).*" "$1" "http://h:80/x" }} {{ match "^a.c$" "abc" }} => h:80 true
{{ query "up" | first | value }} {{ query "up" | first | label "job" }} {{ (query "up" | first).Labels.job }} => 3 q q
{{ range query "up" | sortByLabel "job" }}{{ .Labels.job }}={{ .Value }} {{ end }} => p=4 q=3 
{{ query "none" | first }} => template: t:1:19: executing "t" at <first>: error calling first: first() called on vector with no elements
{{ graphLink "up == 0" }} {{ tableLink "up" }} => /graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1
{{ externalURL }}{{ pathPrefix }} {{ title "foo bar" }} {{ parseDuration "1h30m" }} {{ urlQueryEscape "a b" }} => http://h:9090/p/p Foo Bar 5400 a+b
{{ define "x" }}{{ .arg0 }}+{{ .arg1 }}{{ end }}{{ tmpl "x" (args 1 "b") }} => 1+b
{{ (toTime 1435065584.128).Format "2006-01-02T15:04:05Z07:00" }} {{ toDuration 90.5 }} {{ (toTime 0).Year }} => 2015-06-23T13:19:44Z 1m30.5s 1970
{{ .f | humanize }} {{ "0.5" | humanizePercentage }} {{ $v | printf "%.1f" }} => 1.5 50% 2.5
{{ 123456789.0 }} {{ 0.00001 }} {{ 1e6 }} => 1.23456789e+08 1e-05 1e+06
"#;

fn data() -> Value {
    Value::map([
        ("s", Value::str("text")),
        ("n", Value::Int(7)),
        ("f", Value::Float(1.5)),
        ("t", Value::Bool(true)),
        ("labels", Value::string_map([("job", "api"), ("instance", "a:80"), ("zone", "x")])),
        ("list", Value::list(["a".into(), "b".into(), "c".into()])),
        ("empty", Value::list([])),
    ])
}

fn prometheus() -> Functions {
    functions::prometheus(PrometheusHost {
        query: Arc::new(|text| {
            Ok(if text == "none" {
                Vec::new()
            } else {
                vec![
                    Sample { labels: Labels::from_pairs([("job", "q")]), value: 3.0 },
                    Sample { labels: Labels::from_pairs([("job", "p")]), value: 4.0 },
                ]
            })
        }),
        external_url: "http://h:9090/p".into(),
        now_ms: 1_000,
    })
}

fn run(text: &str, functions: &Functions) -> String {
    let template = match Template::parse("t", text, functions, &["$v"]) {
        Ok(template) => template,
        Err(error) => return error.to_string(),
    };
    match template.execute(&data(), &[("$v", Value::Float(2.5))], &Limits::default()) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    }
}

#[test]
fn language_and_prometheus_functions() {
    let functions = prometheus();
    let mut wrong = Vec::new();
    for case in CASES.trim_start().split_inclusive('\n').collect::<String>().replace("\n  |", "\u{1}  |").lines() {
        let case = case.replace('\u{1}', "\n");
        let (text, expected) = case.split_once(" => ").unwrap();
        let said = run(text, &functions);
        if said != expected.replace("\\n", "\n") {
            wrong.push(format!("{text}\n  said {said}\n  not  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn alertmanager_functions() {
    let functions = functions::alertmanager(Arc::new(|| 1_795_352_573_966));
    for (text, expected) in [
        (
            r#"{{ join "," .list }} {{ stringSlice "a" "b" }} {{ title "fOO bar" }} {{ trimSpace " x " }}"#,
            "a,b,c [a b] Foo Bar x",
        ),
        (
            r#"{{ toJson .labels }} {{ toJson (dict "a" 1 "b" (list 1.5 "<")) }}"#,
            "{\"instance\":\"a:80\",\"job\":\"api\",\"zone\":\"x\"} {\"a\":1,\"b\":[1.5,\"\\u003c\"]}",
        ),
        (
            r#"{{ now | date "2006-01-02 15:04:05.000 MST" }} {{ now | tz "Europe/Paris" | date "Mon 2 Jan 3:04PM -07:00 MST" }}"#,
            "2026-11-22 13:02:53.966 UTC Sun 22 Nov 2:02PM +01:00 CET",
        ),
        (
            r#"{{ since now | humanizeDuration }} {{ urlUnescape "a+b%20c" }} {{ len (append .list "d") }}"#,
            "0s a b c 4",
        ),
        (
            r#"{{ tz "Nowhere/X" now }}"#,
            "template: t:1:4: executing \"t\" at <tz \"Nowhere/X\" now>: error calling tz: unknown time zone Nowhere/X",
        ),
    ] {
        assert_eq!(run(text, &functions), expected, "in case `{text}`");
    }
}

#[test]
fn html_places() {
    for (text, expected) in [
        ("<p>{{ . }}</p>", "<p>&lt;b&gt; &amp; &#34;x&#34; javascript:a</p>"),
        ("<p>{{ safeHtml . }}</p>", "<p><b> & \"x\" javascript:a</p>"),
        ("<a title='{{ . }}'>", "<a title='&lt;b&gt; &amp; &#34;x&#34; javascript:a'>"),
        ("<a title={{ . }}>", "<a title=&lt;b&gt;&#32;&amp;&#32;&#34;x&#34;&#32;javascript:a>"),
        ("<a href=\"/x?q={{ . }}\">", "<a href=\"/x?q=%3cb%3e%20%26%20%22x%22%20javascript%3aa\">"),
        ("<a href=\"{{ reReplaceAll \".* \" \"\" . }}\">", "<a href=\"#ZgotmplZ\">"),
        ("<a href=\"{{ \"http://h/#/alerts?receiver=a b\" }}\">", "<a href=\"http://h/#/alerts?receiver=a%20b\">"),
        ("<title>{{ . }}</title><p>", "<title>&lt;b&gt; &amp; &#34;x&#34; javascript:a</title><p>"),
        ("<!-- {{ . }} --><style>p { a: b }</style>x", "<!--  --><style>p { a: b }</style>x"),
    ] {
        let template = Template::parse("t", text, &prometheus(), &[]).unwrap();
        let said = template.execute_html(&Value::str("<b> & \"x\" javascript:a"), &Limits::default()).unwrap();
        assert_eq!(said, expected, "in case `{text}`");
    }
    for (text, reason) in [
        ("<script>var x = {{ . }}</script>", "inside <script>"),
        ("<style>{{ . }}</style>", "inside <style>"),
        ("<a onclick='{{ . }}'>", "attribute onclick="),
        ("<a {{ . }}>", "name of an element or attribute"),
    ] {
        let template = Template::parse("t", text, &prometheus(), &[]).unwrap();
        let error = template.execute_html(&Value::str("x"), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} in case `{text}`");
    }
}

#[test]
fn limits_stop_what_does_not_end() {
    let limits = Limits { steps: 10_000, output_bytes: 1_000, depth: 20 };
    for (text, reason) in [
        (r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#, "too deeply"),
        (r#"{{ define "a" }}{{ tmpl "a" . }}{{ end }}{{ template "a" . }}"#, "too deeply"),
        ("{{ range $i := 9000000000 }}{{ end }}", "too long"),
        ("{{ range $i := 900 }}abcdefgh{{ end }}", "too large"),
    ] {
        let template = Template::parse("t", text, &prometheus(), &[]).unwrap();
        let error = template.execute(&Value::Nil, &[], &limits).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} in case `{text}`");
    }
    let deep = "{{ if true }}".repeat(1_000);
    assert!(Template::parse("t", &deep, &prometheus(), &[]).is_err());
    let deep = format!("{{{{ {} }}}}", "(".repeat(100_000));
    assert!(Template::parse("t", &deep, &prometheus(), &[]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z{}.$\"|()= \\-/*0-9%]{0,60}", action in "[a-z.$\"|()= 0-9%]{0,40}") {
        let functions = prometheus();
        for text in [text, format!("{{{{{action}}}}}")] {
            let _ = run(&text, &functions);
        }
    }
}
