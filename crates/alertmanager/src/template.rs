//! What notification templates see, and the templates that are there without being written.

use crate::alert::StoredAlert;
use go_template::{Functions, Limits, Object, Template, Value, time::Time};
use model::Labels;
use std::{collections::BTreeMap, path::Path, sync::Arc};

const DEFAULT_TEMPLATES: &str = include_str!("default.tmpl");
const EMAIL_TEMPLATE: &str = include_str!("email.tmpl");
/// Route labels may refer to each other so many levels deep.
const ROUTE_LABEL_PASSES: usize = 5;

/// All templates of a configuration.
#[derive(Clone)]
pub(crate) struct Templates {
    set: Template,
}

impl Templates {
    /// The default templates, then the files that the globs name.
    pub(crate) fn load(globs: &[String], clock: &Arc<dyn system::Clock>) -> Result<Templates, String> {
        let clock = Arc::clone(clock);
        let mut functions: Functions = go_template::functions::alertmanager(Arc::new(move || clock.now_ms()));
        // Known for parsing; every execution brings its own answers.
        functions.add("routeLabels", |_, _| Ok(Value::str("")));
        let mut set =
            Template::parse("default.tmpl", DEFAULT_TEMPLATES, &functions, &[]).map_err(|error| error.to_string())?;
        set.add("email.tmpl", EMAIL_TEMPLATE, &[]).map_err(|error| error.to_string())?;
        for glob in globs {
            for path in system::glob::glob(Path::new(glob)).map_err(|error| format!("{glob}: {error}"))? {
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                set.add(&name, &text, &[]).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        Ok(Templates { set })
    }

    fn run(&self, text: &str, data: &NotificationData, html: bool) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let mut template = self.set.with_main("", text).map_err(|error| error.to_string())?;
        let route_labels = data.route_labels.clone();
        template.add_function("routeLabels", move |_, args| {
            let [name] = go_template::want(args)?;
            Ok(Value::str(route_labels.get(go_template::string(name)?).map_or("", String::as_str)))
        });
        let value = Value::object(data.clone());
        let limits = Limits::default();
        let result = if html { template.execute_html(&value, &limits) } else { template.execute(&value, &[], &limits) };
        result.map_err(|error| error.to_string())
    }

    /// Executes a text.
    pub(crate) fn text(&self, text: &str, data: &NotificationData) -> Result<String, String> {
        self.run(text, data, false)
    }

    /// Executes a text as HTML.
    pub(crate) fn html(&self, text: &str, data: &NotificationData) -> Result<String, String> {
        self.run(text, data, true)
    }

    /// The labels of a route, rendered for a group; they may use each other through `routeLabels`.
    pub(crate) fn route_labels(
        &self,
        labels: &BTreeMap<String, String>,
        data: &NotificationData,
    ) -> BTreeMap<String, String> {
        let mut data = data.clone();
        for _ in 0..ROUTE_LABEL_PASSES {
            let rendered: BTreeMap<_, _> = labels
                .iter()
                .map(|(name, text)| (name.clone(), self.text(text, &data).unwrap_or_else(|error| error)))
                .collect();
            if rendered == data.route_labels {
                break;
            }
            data.route_labels = rendered;
        }
        data.route_labels
    }
}

/// What a template's dot is.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotificationData {
    pub(crate) receiver: String,
    pub(crate) status: &'static str,
    pub(crate) alerts: Vec<AlertData>,
    pub(crate) reason: &'static str,
    pub(crate) group_labels: Labels,
    pub(crate) external_url: String,
    pub(crate) route_labels: BTreeMap<String, String>,
}

impl NotificationData {
    pub(crate) fn common_labels(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.alert.labels))
    }

    pub(crate) fn common_annotations(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.alert.annotations))
    }

    pub(crate) fn is_firing(&self) -> bool {
        self.status == "firing"
    }

    fn alerts_value(&self) -> Value {
        Value::object(Alerts(self.alerts.clone()))
    }
}

fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    sets.fold(first.clone(), |common, set| {
        Labels::from_sorted(common.iter().filter(|(name, value)| set.get(name) == Some(*value)))
    })
}

impl Object for NotificationData {
    fn type_name(&self) -> &str {
        "*template.Data"
    }

    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "Receiver" => Value::str(quote_meta(&self.receiver)),
            "Status" => Value::str(self.status),
            "Alerts" => self.alerts_value(),
            "NotificationReason" => Value::str(self.reason),
            "GroupLabels" => kv(&self.group_labels),
            "CommonLabels" => kv(&self.common_labels()),
            "CommonAnnotations" => kv(&self.common_annotations()),
            "ExternalURL" => Value::str(&self.external_url),
            "RouteLabels" => kv(&Labels::from_pairs(&self.route_labels)),
            _ => return None,
        })
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let mut fields = vec![
            ("receiver", Value::str(quote_meta(&self.receiver))),
            ("status", Value::str(self.status)),
            ("alerts", self.alerts_value()),
            ("notification_reason", Value::str(self.reason)),
            ("groupLabels", kv(&self.group_labels)),
            ("commonLabels", kv(&self.common_labels())),
            ("commonAnnotations", kv(&self.common_annotations())),
        ];
        if !self.route_labels.is_empty() {
            fields.push(("routeLabels", kv(&Labels::from_pairs(&self.route_labels))));
        }
        fields.push(("externalURL", Value::str(&self.external_url)));
        Some(fields)
    }
}

/// Go's `regexp.QuoteMeta`.
fn quote_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// An alert in a notification.
#[derive(Clone, Debug)]
pub(crate) struct AlertData {
    pub(crate) alert: Arc<StoredAlert>,
    pub(crate) resolved: bool,
}

impl AlertData {
    fn values(&self) -> [(&'static str, &'static str, Value); 7] {
        let ends_at = if self.resolved { Time::from_unix_ms(self.alert.ends_at_ms) } else { Time::zero() };
        [
            ("Status", "status", Value::str(if self.resolved { "resolved" } else { "firing" })),
            ("Labels", "labels", kv(&self.alert.labels)),
            ("Annotations", "annotations", kv(&self.alert.annotations)),
            ("StartsAt", "startsAt", Value::Time(Time::from_unix_ms(self.alert.starts_at_ms))),
            ("EndsAt", "endsAt", Value::Time(ends_at)),
            ("GeneratorURL", "generatorURL", Value::str(&self.alert.generator_url)),
            ("Fingerprint", "fingerprint", Value::str(format!("{:016x}", self.alert.fingerprint))),
        ]
    }
}

impl Object for AlertData {
    fn type_name(&self) -> &str {
        "template.Alert"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.values().into_iter().find(|(own, ..)| *own == name).map(|(.., value)| value)
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.values().into_iter().map(|(_, name, value)| (name, value)).collect())
    }
}

struct Alerts(Vec<AlertData>);

impl Alerts {
    fn with(&self, resolved: bool) -> Value {
        Value::list(self.0.iter().filter(|alert| alert.resolved == resolved).cloned().map(Value::object))
    }
}

impl Object for Alerts {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn call(&self, method: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match (method, args) {
            ("Firing", []) => Some(Ok(self.with(false))),
            ("Resolved", []) => Some(Ok(self.with(true))),
            _ => None,
        }
    }

    fn base(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().cloned().map(Value::object)))
    }
}

/// Names and values, `alertname` first where it matters.
struct Kv(Labels);

pub(crate) fn kv(labels: &Labels) -> Value {
    Value::object(Kv(labels.clone()))
}

/// `alertname`, then the others by name.
pub(crate) fn sorted_pairs(labels: &Labels) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = labels.iter().collect();
    pairs.sort_by_key(|(name, _)| *name != "alertname");
    pairs
}

fn names_and_values(pairs: &[(String, String)], method: &str) -> Option<Value> {
    match method {
        "Names" => Some(Value::list(pairs.iter().map(|(name, _)| Value::str(name)))),
        "Values" => Some(Value::list(pairs.iter().map(|(_, value)| Value::str(value)))),
        _ => None,
    }
}

impl Kv {
    fn pairs(&self) -> Vec<(String, String)> {
        sorted_pairs(&self.0).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl Object for Kv {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn call(&self, method: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match (method, args) {
            ("SortedPairs", []) => Some(Ok(Value::object(Pairs(self.pairs())))),
            ("Remove", [names]) => {
                let Value::List(names) = names.to_base() else {
                    return Some(Err(format!("wrong type for value; expected []string; got {}", names.type_name())));
                };
                let names: Vec<_> = names.iter().map(Value::text).collect();
                Some(Ok(kv(&self.0.without(&names))))
            }
            (method, []) => names_and_values(&self.pairs(), method).map(Ok),
            _ => None,
        }
    }

    fn base(&self) -> Option<Value> {
        Some(Value::string_map(&self.0))
    }

    fn text(&self) -> Option<String> {
        Pairs(self.pairs()).text()
    }
}

struct Pairs(Vec<(String, String)>);

impl Object for Pairs {
    fn type_name(&self) -> &str {
        "template.Pairs"
    }

    fn call(&self, method: &str, args: &[Value]) -> Option<Result<Value, String>> {
        if !args.is_empty() {
            return None;
        }
        names_and_values(&self.0, method).map(Ok)
    }

    fn base(&self) -> Option<Value> {
        Some(Value::list(
            self.0.iter().map(|(name, value)| Value::string_map([("Name", name.as_str()), ("Value", value.as_str())])),
        ))
    }

    fn text(&self) -> Option<String> {
        let texts: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(texts.join(", "))
    }
}
