//! What a field looks like: defaults and overrides onto frames, display names, mappings, thresholds, colours.

use crate::{
    colors::{self, Rgba, SeriesColor, Theme},
    frame::{Cell, Field, FieldType, Frame},
    legend,
    model::{
        ColorMode, FieldConfig, FieldOptions, Mapping, MappingResult, Matcher, SpecialMatch, Thresholds, ThresholdsMode,
    },
    pattern::Pattern,
    reducers,
    units::{self, FormatContext, Formatted},
};

/// Puts defaults and overrides onto every field, in list order, and fills the display names. Answers matchers and
/// properties that are not known here, once each, for the panel to name.
pub fn apply_config(frames: &mut [Frame], config: &FieldConfig) -> Vec<String> {
    let mut unknown = Vec::new();
    for frame in frames.iter_mut() {
        for field in &mut frame.fields {
            let from_source = std::mem::take(&mut field.config.display_name_from_ds);
            let inferred = std::mem::take(&mut field.config.unit);
            field.config = config.defaults.clone();
            if field.config.unit.is_empty() {
                field.config.unit = inferred;
            }
            if field.config.display_name_from_ds.is_empty() {
                field.config.display_name_from_ds = from_source;
            }
        }
    }
    name_fields(frames);
    for rule in &config.overrides {
        if let Matcher::Unknown(id) = &rule.matcher {
            note(&mut unknown, format!("matcher {id}"));
            continue;
        }
        let compiled = CompiledMatcher::new(&rule.matcher);
        for frame in frames.iter_mut() {
            let matched: Vec<usize> = (0..frame.fields.len()).filter(|at| compiled.matches(frame, *at)).collect();
            for field in matched {
                let field = &mut frame.fields[field];
                for (id, value) in &rule.properties {
                    if !field.config.set(id, value) {
                        note(&mut unknown, format!("property {id}"));
                    }
                }
            }
        }
    }
    name_fields(frames);
    unknown
}

fn note(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

/// Display names: the configured one, the source's, or built from name and the labels that differ.
pub fn name_fields(frames: &mut [Frame]) {
    let values: Vec<&Field> =
        frames.iter().flat_map(|frame| &frame.fields).filter(|field| field.kind() != FieldType::Time).collect();
    let same_name = values.windows(2).all(|pair| pair[0].name == pair[1].name);
    let labels: Vec<&crate::frame::Labels> = values.iter().map(|field| &field.labels).collect();
    let differing: Vec<String> = legend::differing_labels(&labels).into_iter().map(str::to_owned).collect();
    for frame in frames.iter_mut() {
        let frame_name = frame.name.clone();
        for field in &mut frame.fields {
            let built = || -> String {
                if field.kind() == FieldType::Time || field.labels.is_empty() {
                    return field.name.clone();
                }
                let parts: Vec<String> = differing
                    .iter()
                    .filter_map(|name| Some((name, field.labels.get(name)?)))
                    .map(
                        |(name, value)| {
                            if differing.len() == 1 { value.clone() } else { format!("{name}=\"{value}\"") }
                        },
                    )
                    .collect();
                match (same_name, parts.len()) {
                    (_, 0) => field.name.clone(),
                    (true, 1) => parts[0].clone(),
                    (true, _) => format!("{{{}}}", parts.join(", ")),
                    (false, _) => format!("{} {{{}}}", field.name, parts.join(", ")),
                }
            };
            let from_source = &field.config.display_name_from_ds;
            let plain =
                if !from_source.is_empty() && field.kind() != FieldType::Time { from_source.clone() } else { built() };
            field.display_name = if field.config.display_name.is_empty() {
                plain
            } else {
                expand_name(&field.config.display_name, field, &plain, &frame_name)
            };
        }
    }
}

/// `${__field.labels.x}`, `${__field.name}`, `${__field.displayName}`, `${__series.name}` in a display name.
fn expand_name(template: &str, field: &Field, plain: &str, frame_name: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((expression, tail)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        match field_expression(expression, field, plain, frame_name) {
            Some(text) => out.push_str(&text),
            None => {
                out.push_str("${");
                out.push_str(expression);
                out.push('}');
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

pub(crate) fn field_expression(expression: &str, field: &Field, plain: &str, frame_name: &str) -> Option<String> {
    match expression {
        "__series.name" => return Some(if frame_name.is_empty() { plain.to_owned() } else { frame_name.to_owned() }),
        "__field.name" => return Some(field.name.clone()),
        "__field.displayName" => return Some(plain.to_owned()),
        "__field.labels" => {
            return Some(
                field.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(", "),
            );
        }
        _ => {}
    }
    let rest = expression.strip_prefix("__field.labels")?;
    let name = match rest.strip_prefix('.') {
        Some(name) => name,
        None => rest.strip_prefix('[')?.strip_suffix(']')?.trim_matches(['"', '\'']),
    };
    Some(field.labels.get(name).cloned().unwrap_or_default())
}

/// A matcher with its patterns compiled.
pub struct CompiledMatcher<'m> {
    matcher: &'m Matcher,
    pattern: Option<Pattern>,
    inner: Vec<CompiledMatcher<'m>>,
}

impl<'m> CompiledMatcher<'m> {
    pub fn new(matcher: &'m Matcher) -> Self {
        let pattern = match matcher {
            Matcher::ByRegexp(text) => Pattern::new(text).ok(),
            _ => None,
        };
        let inner = match matcher {
            Matcher::AllOf(list) | Matcher::AnyOf(list) => list.iter().map(CompiledMatcher::new).collect(),
            Matcher::Not(inner) => vec![CompiledMatcher::new(inner)],
            _ => Vec::new(),
        };
        CompiledMatcher { matcher, pattern, inner }
    }

    /// Whether the rule is for the field of that number. Names are display names, and the raw ones.
    pub fn matches(&self, frame: &Frame, at: usize) -> bool {
        let Some(field) = frame.fields.get(at) else { return false };
        let named = |name: &str| field.display_name == name || field.name == name;
        match self.matcher {
            Matcher::ByName(name) => named(name),
            Matcher::ByNames { names, exclude, prefix } => {
                let listed = names.iter().any(|name| named(name))
                    || (!prefix.is_empty() && field.display_name.starts_with(prefix.as_str()));
                // "All but these" hides series, and never the time.
                if *exclude { !listed && field.kind() != FieldType::Time } else { listed }
            }
            Matcher::ByRegexp(_) => self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(&field.display_name)),
            Matcher::ByType(kinds) => kinds.iter().any(|kind| kind == field.kind().name()),
            Matcher::ByFrameRefId(id) => frame.ref_id == *id,
            Matcher::ByValue { reducer, op, value } => {
                if field.kind() == FieldType::Time {
                    return false;
                }
                let said = reducers::reduce(field, reducer).number();
                match op.as_str() {
                    "==" | "=" | "eq" => said == *value,
                    "!=" | "ne" => said != *value,
                    ">" | "gt" => said > *value,
                    ">=" | "gte" => said >= *value,
                    "<" | "lt" => said < *value,
                    "<=" | "lte" => said <= *value,
                    _ => false,
                }
            }
            Matcher::Numeric => field.kind() == FieldType::Number,
            Matcher::Time => field.kind() == FieldType::Time,
            Matcher::First => at == 0,
            Matcher::FirstTime => frame.fields.iter().position(|field| field.kind() == FieldType::Time) == Some(at),
            Matcher::Any => true,
            Matcher::AllOf(_) => self.inner.iter().all(|inner| inner.matches(frame, at)),
            Matcher::AnyOf(_) => self.inner.iter().any(|inner| inner.matches(frame, at)),
            Matcher::Not(_) => !self.inner.iter().any(|inner| inner.matches(frame, at)),
            Matcher::Unknown(_) => false,
        }
    }
}

/// Smallest and largest number of all numeric fields; `None` if there is none.
pub fn auto_bounds<'f>(fields: impl Iterator<Item = &'f Field>) -> Option<(f64, f64)> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in fields.filter_map(Field::numbers).flatten().filter(|value| value.is_finite()) {
        low = low.min(*value);
        high = high.max(*value);
    }
    (low <= high).then_some((low, high))
}

/// Bounds of a single-value panel: the configured ones, 0 to 100 for percents, else those of the data.
pub fn value_bounds(options: &FieldOptions, data: Option<(f64, f64)>) -> (f64, f64) {
    let percent = match options.unit.as_str() {
        "percent" => Some((0.0, 100.0)),
        "percentunit" => Some((0.0, 1.0)),
        _ => None,
    };
    let (low, high) = percent.or(data).unwrap_or((0.0, 100.0));
    let (low, high) = (options.min.unwrap_or(low), options.max.unwrap_or(high));
    if low < high { (low, high) } else { (low, low + 1.0) }
}

/// A value ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayValue {
    pub text: Formatted,
    /// By mapping, threshold or colour mode; `None` for the ordinary text colour.
    pub color: Option<Rgba>,
    /// Place between min and max, 0 to 1.
    pub share: Option<f64>,
    /// The number behind it.
    pub number: Option<f64>,
}

/// Turns values of one field into text and colour.
pub struct Displayer<'a> {
    options: &'a FieldOptions,
    theme: Theme,
    context: FormatContext<'a>,
    bounds: (f64, f64),
    series: Option<SeriesColor>,
    patterns: Vec<Option<Pattern>>,
}

impl<'a> Displayer<'a> {
    /// `bounds` serve percentage thresholds and continuous colours; `series` is the palette's colour of the field.
    pub fn new(
        options: &'a FieldOptions,
        theme: Theme,
        context: FormatContext<'a>,
        bounds: (f64, f64),
        series: Option<SeriesColor>,
    ) -> Self {
        let patterns = options
            .mappings
            .iter()
            .map(|mapping| match mapping {
                Mapping::Regex { pattern, .. } => Pattern::new(pattern).ok(),
                _ => None,
            })
            .collect();
        Displayer { options, theme, context, bounds, series, patterns }
    }

    /// Mappings first, the first that matches wins; then unit and decimals; then the colour mode.
    pub fn display(&self, cell: Cell<'_>) -> DisplayValue {
        let number = match cell {
            Cell::Number(value) => Some(value),
            Cell::Time(ms) => Some(ms as f64),
            Cell::Bool(flag) => Some(f64::from(u8::from(flag))),
            _ => None,
        };
        let mapped = self.mapping(cell);
        let text = match (mapped.as_ref().and_then(|result| result.text.clone()), cell) {
            (Some(text), _) => Formatted { text, ..Formatted::default() },
            (None, Cell::Null) => Formatted { text: self.options.no_value.clone(), ..Formatted::default() },
            (None, Cell::Text(text)) => Formatted { text: text.to_owned(), ..Formatted::default() },
            (None, Cell::Bool(flag)) if self.options.unit.is_empty() => {
                Formatted { text: flag.to_string(), ..Formatted::default() }
            }
            (None, Cell::Time(ms)) => {
                let unit = if self.options.unit.is_empty() { "dateTimeAsSystem" } else { &self.options.unit };
                units::format(Some(ms as f64), unit, self.options.decimals, &self.context)
            }
            (None, _) => units::format(number, &self.options.unit, self.options.decimals, &self.context),
        };
        let color = mapped
            .and_then(|result| result.color)
            .and_then(|name| colors::resolve(&name, self.theme))
            .or_else(|| number.and_then(|number| self.color_of(number)))
            .or_else(|| matches!(cell, Cell::Null | Cell::Text(_)).then(|| self.base_color()).flatten());
        let share = number.map(|number| ((number - self.bounds.0) / (self.bounds.1 - self.bounds.0)).clamp(0.0, 1.0));
        DisplayValue { text, color, share: share.filter(|share| !share.is_nan()), number }
    }

    fn mapping(&self, cell: Cell<'_>) -> Option<MappingResult> {
        let number = match cell {
            Cell::Number(value) => Some(value),
            Cell::Time(ms) => Some(ms as f64),
            _ => None,
        };
        for (mapping, pattern) in self.options.mappings.iter().zip(&self.patterns) {
            let result = match mapping {
                Mapping::Value(values) => {
                    let text = cell.to_text();
                    match values.iter().find(|(value, _)| {
                        !cell.is_null() && (*value == text || number.is_some_and(|n| value.parse() == Ok(n)))
                    }) {
                        Some((_, result)) => result.clone(),
                        None => continue,
                    }
                }
                Mapping::Range { from, to, result } => match number {
                    Some(n) if !n.is_nan() && from.is_none_or(|from| n >= from) && to.is_none_or(|to| n <= to) => {
                        result.clone()
                    }
                    _ => continue,
                },
                Mapping::Regex { result, .. } => {
                    let (Cell::Text(text), Some(pattern)) = (cell, pattern) else { continue };
                    let Some(found) = pattern.find(text) else { continue };
                    let mut result = result.clone();
                    if let Some(template) = &result.text {
                        let mut out = text[..found.start].to_owned();
                        pattern.expand(template, &found, &mut out);
                        out.push_str(&text[found.end..]);
                        result.text = Some(out);
                    }
                    result
                }
                Mapping::Special { matches, result } => {
                    let is_nan = number.is_some_and(f64::is_nan);
                    let fits = match matches {
                        SpecialMatch::Null => cell.is_null(),
                        SpecialMatch::Nan => is_nan,
                        SpecialMatch::NullAndNan => cell.is_null() || is_nan,
                        SpecialMatch::True => cell == Cell::Bool(true) || cell == Cell::Text("true"),
                        SpecialMatch::False => cell == Cell::Bool(false) || cell == Cell::Text("false"),
                        SpecialMatch::Empty => cell == Cell::Text(""),
                    };
                    if !fits {
                        continue;
                    }
                    result.clone()
                }
            };
            return Some(result);
        }
        None
    }

    /// Colour of a number by the colour mode; `None` if the mode does not colour values and there is no series.
    pub fn color_of(&self, number: f64) -> Option<Rgba> {
        let mode = self.options.color.as_ref();
        match mode.map_or("thresholds", |mode| mode.mode.as_str()) {
            "thresholds" => {
                let thresholds = self.options.thresholds.as_ref()?;
                threshold_color(thresholds, number, self.bounds, self.theme)
            }
            continuous if continuous.starts_with("continuous-") => {
                let share = (number - self.bounds.0) / (self.bounds.1 - self.bounds.0);
                Some(colors::ramp(continuous, share, self.theme))
            }
            _ => self.series_color(),
        }
    }

    fn base_color(&self) -> Option<Rgba> {
        let mode = self.options.color.as_ref()?;
        match mode.mode.as_str() {
            "fixed" | "shades" => self.series_color(),
            "thresholds" => colors::resolve(&self.options.thresholds.as_ref()?.steps.first()?.color, self.theme),
            _ => None,
        }
    }

    /// The colour of the whole field: fixed, or the palette's.
    pub fn series_color(&self) -> Option<Rgba> {
        field_color(self.options.color.as_ref(), self.series, self.theme)
    }
}

fn field_color(mode: Option<&ColorMode>, series: Option<SeriesColor>, theme: Theme) -> Option<Rgba> {
    match mode {
        Some(mode) if matches!(mode.mode.as_str(), "fixed" | "shades") => {
            let fixed = colors::resolve(&mode.fixed_color, theme)?;
            match (mode.mode.as_str(), series) {
                // Shades of one colour, told apart by the series' number.
                ("shades", Some(series)) => {
                    let ground = theme.tokens().bg1;
                    Some(colors::mix(fixed, ground, series.index as f32 * 0.06))
                }
                _ => Some(fixed),
            }
        }
        _ => series.map(|series| series.rgba(theme)),
    }
}

/// Colours of the lines of a panel, one per field: fixed ones as configured, by threshold or ramp of the last (or as
/// `seriesBy` says) value, and the palette's by display name for the rest.
pub fn line_colors(fields: &[&Field], theme: Theme) -> Vec<(Rgba, SeriesColor)> {
    let names: Vec<&str> = fields.iter().map(|field| field.display_name.as_str()).collect();
    let palette = colors::series_colors(&names);
    let bounds = auto_bounds(fields.iter().copied()).unwrap_or((0.0, 1.0));
    fields
        .iter()
        .zip(palette)
        .map(|(field, series)| {
            let mode = field.config.color.as_ref();
            let by_value = mode.is_some_and(|mode| mode.mode == "thresholds" || mode.mode.starts_with("continuous-"));
            let color = if by_value {
                let calc = match mode.map(|mode| mode.series_by.as_str()) {
                    Some("min") => "min",
                    Some("max") => "max",
                    _ => "lastNotNull",
                };
                let number = reducers::reduce(field, calc).number();
                let bounds = (field.config.min.unwrap_or(bounds.0), field.config.max.unwrap_or(bounds.1));
                Displayer::new(&field.config, theme, FormatContext::utc(0), bounds, Some(series)).color_of(number)
            } else {
                field_color(mode, Some(series), theme)
            };
            (color.unwrap_or_else(|| series.rgba(theme)), series)
        })
        .collect()
}

/// The last step at or below the value; the base below all. Percentage steps look at the place between the bounds.
pub fn threshold_color(thresholds: &Thresholds, number: f64, bounds: (f64, f64), theme: Theme) -> Option<Rgba> {
    let compared = match thresholds.mode {
        ThresholdsMode::Absolute => number,
        ThresholdsMode::Percentage => 100.0 * (number - bounds.0) / (bounds.1 - bounds.0),
    };
    let step = thresholds.steps.iter().rev().find(|step| step.value <= compared).or(thresholds.steps.first())?;
    colors::resolve(&step.color, theme)
}

/// Steps of thresholds as absolute values with colours, the base left out.
pub fn threshold_lines(thresholds: &Thresholds, bounds: (f64, f64), theme: Theme) -> Vec<(f64, Rgba)> {
    thresholds
        .steps
        .iter()
        .filter(|step| step.value.is_finite())
        .filter_map(|step| {
            let value = match thresholds.mode {
                ThresholdsMode::Absolute => step.value,
                ThresholdsMode::Percentage => bounds.0 + (bounds.1 - bounds.0) * step.value / 100.0,
            };
            Some((value, colors::resolve(&step.color, theme)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{NULL, Values};
    use serde_json::json;

    fn frames() -> Vec<Frame> {
        let value = |code: &str, numbers: Vec<f64>| Frame {
            name: code.to_owned(),
            ref_id: if code == "500" { "B" } else { "A" }.to_owned(),
            fields: vec![
                Field::new("Time", Values::Time(vec![0, 1])),
                Field::new("Value", Values::Number(numbers)).with_labels([("code".to_owned(), code.to_owned())].into()),
            ],
        };
        vec![value("200", vec![1.0, 90.0]), value("500", vec![NULL, 3.0])]
    }

    fn configured(config: serde_json::Value) -> (Vec<Frame>, Vec<String>) {
        let mut frames = frames();
        let unknown = apply_config(&mut frames, &FieldConfig::read(&config));
        (frames, unknown)
    }

    #[test]
    fn overrides_in_order() {
        for (matcher, expected) in [
            (json!({"id": "byName", "options": "500"}), ["", "ms"]),
            (json!({"id": "byRegexp", "options": "/^2/"}), ["ms", ""]),
            (json!({"id": "byFrameRefID", "options": "B"}), ["", "ms"]),
            (json!({"id": "byType", "options": "number"}), ["ms", "ms"]),
            (json!({"id": "byValue", "options": {"reducer": "max", "op": ">", "value": 50}}), ["ms", ""]),
            (json!({"id": "byNames", "options": {"mode": "exclude", "names": ["200"]}}), ["", "ms"]),
            (json!({"id": "invertMatch", "options": {"id": "byName", "options": "200"}}), ["", "ms"]),
        ] {
            let config = json!({"overrides": [{"matcher": matcher.clone(), "properties": [{"id": "unit", "value": "s"}, {"id": "unit", "value": "ms"}]}]});
            let (frames, unknown) = configured(config);
            assert_eq!([0, 1].map(|at| frames[at].fields[1].config.unit.as_str()), expected, "{matcher}");
            assert!(unknown.is_empty());
        }
        let (_, unknown) = configured(json!({"overrides": [
            {"matcher": {"id": "byMoon"}, "properties": []},
            {"matcher": {"id": "numeric"}, "properties": [{"id": "shine", "value": 1}]}]}));
        assert_eq!(unknown, ["matcher byMoon", "property shine"]);
    }

    #[test]
    fn names() {
        let (frames, _) = configured(
            json!({"defaults": {"displayName": "HTTP ${__field.labels.code} ${__field.labels[\"none\"]}${__unknown}"}}),
        );
        assert_eq!(frames[1].fields[1].display_name, "HTTP 500 ${__unknown}");
        assert_eq!(configured(json!({})).0[0].fields[1].display_name, "200");
    }

    #[test]
    fn values() {
        let options = FieldOptions::read(&json!({
            "unit": "percent", "noValue": "none yet",
            "mappings": [
                {"type": "value", "options": {"1": {"text": "one", "color": "#010203"}}},
                {"type": "range", "options": {"from": 5, "to": null, "result": {"color": "red"}}},
                {"type": "special", "options": {"match": "nan", "result": {"text": "?"}}},
                {"type": "regex", "options": {"pattern": "/host-(.*)/", "result": {"text": "H $1"}}}],
            "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "#0000ff", "value": 2}]},
        }));
        let displayer = Displayer::new(&options, Theme::Dark, FormatContext::utc(0), (0.0, 10.0), None);
        for (cell, text, color) in [
            (Cell::Number(1.0), "one", Some("#010203")),
            (Cell::Number(7.0), "7%", Some("#f0665c")),
            (Cell::Number(2.0), "2%", Some("#0000ff")),
            (Cell::Number(-3.0), "-3%", Some("#56b684")),
            (Cell::Number(f64::NAN), "?", None),
            (Cell::Null, "none yet", None),
            (Cell::Text("host-a"), "H a", None),
        ] {
            let said = displayer.display(cell);
            assert_eq!(said.text.to_string(), text);
            if color.is_some() {
                assert_eq!(said.color.map(Rgba::css).as_deref(), color, "{text}");
            }
        }
    }
}
