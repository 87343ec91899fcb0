//! `fieldConfig`: defaults, overrides, thresholds, mappings.

use super::{links::DataLink, read::Read as _, read::as_number};
use crate::sorting::Order;
use serde_json::{Map, Value};

/// `fieldConfig`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldConfig {
    pub defaults: FieldOptions,
    pub overrides: Vec<Override>,
}

/// What a field looks like. `None` and empty mean "not set".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldOptions {
    pub display_name: String,
    pub display_name_from_ds: String,
    pub description: String,
    pub unit: String,
    pub decimals: Option<u8>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub no_value: String,
    pub color: Option<ColorMode>,
    pub thresholds: Option<Thresholds>,
    pub mappings: Vec<Mapping>,
    pub links: Vec<DataLink>,
    pub filterable: bool,
    /// `custom`, by panel type.
    pub custom: Map<String, Value>,
}

/// `color`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColorMode {
    /// `thresholds`, `palette-classic`, `palette-classic-by-name`, `fixed`, `shades`, `continuous-…`.
    pub mode: String,
    pub fixed_color: String,
    /// `last`, `min` or `max`; empty is `last`.
    pub series_by: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThresholdsMode {
    #[default]
    Absolute,
    Percentage,
}

/// Steps in ascending order; the first is the base and reaches down to −∞.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    pub mode: ThresholdsMode,
    pub steps: Vec<Threshold>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// −∞ for the base.
    pub value: f64,
    pub color: String,
}

/// One value mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapping {
    /// Text of the value → result.
    Value(Vec<(String, MappingResult)>),
    /// Inclusive on both ends; `None` is open.
    Range {
        from: Option<f64>,
        to: Option<f64>,
        result: MappingResult,
    },
    Regex {
        pattern: String,
        result: MappingResult,
    },
    Special {
        matches: SpecialMatch,
        result: MappingResult,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialMatch {
    Null,
    Nan,
    NullAndNan,
    True,
    False,
    Empty,
}

/// What a mapping says; either part may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MappingResult {
    pub text: Option<String>,
    pub color: Option<String>,
    pub icon: Option<String>,
    pub index: i64,
}

/// One override: the fields it is for and what it sets there.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    pub matcher: Matcher,
    /// Property id (`unit`, `custom.axisPlacement`, …) and its value, in order.
    pub properties: Vec<(String, Value)>,
    /// `hideSeriesFrom` if the legend made it.
    pub system_ref: String,
}

/// Which fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    ByName(String),
    ByNames {
        names: Vec<String>,
        exclude: bool,
        prefix: String,
    },
    ByRegexp(String),
    ByType(Vec<String>),
    ByFrameRefId(String),
    ByValue {
        reducer: String,
        op: String,
        value: f64,
    },
    Numeric,
    Time,
    First,
    FirstTime,
    Any,
    AllOf(Vec<Matcher>),
    AnyOf(Vec<Matcher>),
    Not(Box<Matcher>),
    /// Not known here: matches nothing, its rule is skipped.
    Unknown(String),
}

impl FieldConfig {
    pub fn read(json: &Value) -> Self {
        FieldConfig {
            defaults: FieldOptions::read(json.child("defaults")),
            overrides: json.list("overrides").iter().map(Override::read).collect(),
        }
    }
}

impl FieldOptions {
    pub fn read(json: &Value) -> Self {
        let mut options = FieldOptions::default();
        if let Value::Object(map) = json {
            for (key, value) in map {
                match value {
                    Value::Object(custom) if key == "custom" => options.custom = custom.clone(),
                    value => {
                        options.set(key, value);
                    }
                }
            }
        }
        options
    }

    /// Sets one property as an override names it: a key of the defaults, or `custom.<key>` (also with dots within:
    /// `custom.hideFrom.viz`). Answers whether the property is known here; an unknown one is ignored.
    pub fn set(&mut self, id: &str, value: &Value) -> bool {
        if let Some(path) = id.strip_prefix("custom.") {
            let mut custom = Value::Object(std::mem::take(&mut self.custom));
            let path: Vec<&str> = path.split('.').collect();
            super::set_at(&mut custom, &path, value.clone());
            if let Value::Object(custom) = custom {
                self.custom = custom;
            }
            return true;
        }
        let text = || super::read::as_text(value);
        match id {
            "displayName" => self.display_name = text(),
            "displayNameFromDS" => self.display_name_from_ds = text(),
            "description" => self.description = text(),
            "unit" => self.unit = text(),
            "decimals" => self.decimals = as_number(value).map(|decimals| decimals.clamp(0.0, 20.0) as u8),
            "min" => self.min = as_number(value),
            "max" => self.max = as_number(value),
            "noValue" => self.no_value = text(),
            "color" => self.color = ColorMode::read(value),
            "thresholds" => self.thresholds = Thresholds::read(value),
            "mappings" => self.mappings = value.as_array().map(|list| read_mappings(list)).unwrap_or_default(),
            "links" => {
                self.links = value.as_array().map(|list| list.iter().map(DataLink::read).collect()).unwrap_or_default()
            }
            "filterable" => self.filterable = value.as_bool().unwrap_or(false),
            _ => return false,
        }
        true
    }
}

impl ColorMode {
    fn read(json: &Value) -> Option<Self> {
        let mode = json.text("mode");
        (!mode.is_empty()).then(|| ColorMode {
            mode,
            fixed_color: json.text("fixedColor"),
            series_by: json.text("seriesBy"),
        })
    }
}

impl Thresholds {
    pub fn read(json: &Value) -> Option<Self> {
        if !json.is_object() {
            return None;
        }
        let mut steps: Vec<Threshold> = json
            .list("steps")
            .iter()
            .enumerate()
            .map(|(i, step)| Threshold {
                value: step
                    .number("value")
                    .filter(|_| i > 0 || !step.child("value").is_null())
                    .unwrap_or(f64::NEG_INFINITY),
                color: step.text("color"),
            })
            .collect();
        steps.order_by(|a, b| a.value.total_cmp(&b.value));
        let mode =
            if json.text("mode") == "percentage" { ThresholdsMode::Percentage } else { ThresholdsMode::Absolute };
        Some(Thresholds { mode, steps })
    }
}

impl MappingResult {
    fn read(json: &Value) -> Self {
        let optional = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        MappingResult {
            text: json.get("text").filter(|text| !text.is_null()).map(super::read::as_text),
            color: optional("color").filter(|color| !color.is_empty()),
            icon: optional("icon"),
            index: json.number("index").map_or(0, |index| index as i64),
        }
    }
}

/// Grafana 8 and later (`type` is a word), and the form before it (`type` 1 value, 2 range).
fn read_mappings(list: &[Value]) -> Vec<Mapping> {
    let mut out = Vec::new();
    for mapping in list {
        let options = mapping.child("options");
        match mapping.child("type") {
            Value::String(word) => match word.as_str() {
                "value" => {
                    let Some(map) = options.as_object() else { continue };
                    out.push(Mapping::Value(
                        map.iter().map(|(value, result)| (value.clone(), MappingResult::read(result))).collect(),
                    ));
                }
                "range" => out.push(Mapping::Range {
                    from: options.number("from"),
                    to: options.number("to"),
                    result: MappingResult::read(options.child("result")),
                }),
                "regex" => out.push(Mapping::Regex {
                    pattern: options.text("pattern"),
                    result: MappingResult::read(options.child("result")),
                }),
                "special" => {
                    let matches = match options.text("match").as_str() {
                        "null" => SpecialMatch::Null,
                        "nan" => SpecialMatch::Nan,
                        "null+nan" => SpecialMatch::NullAndNan,
                        "true" => SpecialMatch::True,
                        "false" => SpecialMatch::False,
                        "empty" => SpecialMatch::Empty,
                        _ => continue,
                    };
                    out.push(Mapping::Special { matches, result: MappingResult::read(options.child("result")) });
                }
                _ => {}
            },
            Value::Number(kind) => {
                let result = MappingResult { text: Some(mapping.text("text")), ..MappingResult::default() };
                if kind.as_i64() == Some(2) {
                    out.push(Mapping::Range { from: mapping.number("from"), to: mapping.number("to"), result });
                } else if mapping.text("value") == "null" {
                    out.push(Mapping::Special { matches: SpecialMatch::NullAndNan, result });
                } else {
                    out.push(Mapping::Value(vec![(mapping.text("value"), result)]));
                }
            }
            _ => {}
        }
    }
    out
}

impl Override {
    fn read(json: &Value) -> Self {
        Override {
            matcher: Matcher::read(json.child("matcher")),
            properties: json
                .list("properties")
                .iter()
                .map(|property| (property.text("id"), property.child("value").clone()))
                .collect(),
            system_ref: json.text("__systemRef"),
        }
    }
}

impl Matcher {
    /// Reads `{id, options}`.
    pub fn read(json: &Value) -> Self {
        Matcher::from_parts(&json.text("id"), json.child("options"))
    }

    pub fn from_parts(id: &str, options: &Value) -> Self {
        let text = || super::read::as_text(options);
        let inner = || options.as_array().map(|list| list.iter().map(Matcher::read).collect()).unwrap_or_default();
        match id {
            "byName" => Matcher::ByName(text()),
            "byNames" => Matcher::ByNames {
                names: options.texts("names"),
                exclude: options.text("mode") == "exclude",
                prefix: options.text("prefix"),
            },
            "byRegexp" => Matcher::ByRegexp(text()),
            "byRegexpOrNames" => {
                let mut any = Vec::new();
                if options.get("names").is_some() {
                    any.push(Matcher::ByNames { names: options.texts("names"), exclude: false, prefix: String::new() });
                }
                match options.text("pattern") {
                    pattern if pattern.is_empty() => {}
                    pattern => any.push(Matcher::ByRegexp(pattern)),
                }
                Matcher::AnyOf(any)
            }
            "byType" => Matcher::ByType(vec![text()]),
            "byTypes" => Matcher::ByType(
                options.as_array().map(|list| list.iter().map(super::read::as_text).collect()).unwrap_or_default(),
            ),
            "byFrameRefID" => Matcher::ByFrameRefId(text()),
            "byValue" => Matcher::ByValue {
                reducer: options.text("reducer"),
                op: options.text("op"),
                value: options.number("value").unwrap_or(0.0),
            },
            "numeric" => Matcher::Numeric,
            "time" => Matcher::Time,
            "first" => Matcher::First,
            "firstTimeField" => Matcher::FirstTime,
            "anyMatch" => Matcher::AnyOf(inner()),
            "allMatch" => Matcher::AllOf(inner()),
            "invertMatch" => Matcher::Not(Box::new(Matcher::read(options))),
            "alwaysMatch" | "always" => Matcher::Any,
            other => Matcher::Unknown(other.to_owned()),
        }
    }
}
