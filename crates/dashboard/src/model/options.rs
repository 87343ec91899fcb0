//! Typed readers of `options` and `fieldConfig.defaults.custom`, by panel type, with Grafana's defaults.

use super::read::{Read as _, as_number, as_text};
use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegendMode {
    #[default]
    List,
    Table,
    Hidden,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegendPlacement {
    #[default]
    Bottom,
    Right,
}

/// `options.legend`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LegendOptions {
    /// `Hidden` also where `showLegend` is false.
    pub mode: LegendMode,
    pub placement: LegendPlacement,
    /// Reducer ids, the columns of the table.
    pub calcs: Vec<String>,
    /// A reducer's name as shown (`Mean`), empty for none.
    pub sort_by: String,
    pub sort_desc: bool,
    /// Pixels, at the right.
    pub width: Option<f64>,
    /// Of a pie: `value`, `percent`.
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooltipMode {
    #[default]
    Single,
    Multi,
    None,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooltipSort {
    #[default]
    None,
    Ascending,
    Descending,
}

/// `options.tooltip`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TooltipOptions {
    pub mode: TooltipMode,
    pub sort: TooltipSort,
    pub hide_zeros: bool,
}

/// `options.reduceOptions`: how a field becomes one value.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceOptions {
    /// `lastNotNull` unless named.
    pub calc: String,
    /// Show every row instead.
    pub values: bool,
    pub limit: Option<usize>,
    /// Empty: numeric fields; `/regex/`; or a display name.
    pub fields: String,
}

impl LegendOptions {
    /// Reads `options.legend` out of a panel's options.
    pub fn read(options: &Value) -> Self {
        let legend = options.child("legend");
        LegendOptions {
            mode: match legend.text("displayMode").as_str() {
                "hidden" => LegendMode::Hidden,
                _ if !legend.flag_or("showLegend", true) => LegendMode::Hidden,
                "table" => LegendMode::Table,
                _ => LegendMode::List,
            },
            placement: if legend.text("placement") == "right" {
                LegendPlacement::Right
            } else {
                LegendPlacement::Bottom
            },
            calcs: legend.texts("calcs"),
            sort_by: legend.text("sortBy"),
            sort_desc: legend.flag("sortDesc"),
            width: legend.number("width"),
            values: legend.texts("values"),
        }
    }
}

impl TooltipOptions {
    pub fn read(options: &Value) -> Self {
        let tooltip = options.child("tooltip");
        TooltipOptions {
            mode: match tooltip.text("mode").as_str() {
                "multi" => TooltipMode::Multi,
                "none" => TooltipMode::None,
                _ => TooltipMode::Single,
            },
            sort: match tooltip.text("sort").as_str() {
                "asc" => TooltipSort::Ascending,
                "desc" => TooltipSort::Descending,
                _ => TooltipSort::None,
            },
            hide_zeros: tooltip.flag("hideZeros"),
        }
    }
}

impl ReduceOptions {
    pub fn read(options: &Value) -> Self {
        let reduce = options.child("reduceOptions");
        ReduceOptions {
            calc: reduce.texts("calcs").into_iter().next().unwrap_or_else(|| "lastNotNull".to_owned()),
            values: reduce.flag("values"),
            limit: reduce.number("limit").map(|limit| limit.max(0.0) as usize),
            fields: reduce.text("fields"),
        }
    }
}

/// Stat.
#[derive(Clone, Debug, PartialEq)]
pub struct StatOptions {
    pub reduce: ReduceOptions,
    /// `auto`, `horizontal`, `vertical`.
    pub orientation: String,
    /// `none`, `value`, `background`, `background_solid`.
    pub color_mode: String,
    /// `none`, `line`, `area`.
    pub graph_mode: String,
    /// `auto`, `center`.
    pub justify_mode: String,
    /// `auto`, `value`, `value_and_name`, `name`, `none`.
    pub text_mode: String,
    pub wide_layout: bool,
    pub show_percent_change: bool,
    /// `standard`, `inverted`, `same_as_value`.
    pub percent_change_color_mode: String,
    pub title_size: Option<f64>,
    pub value_size: Option<f64>,
}

impl StatOptions {
    pub fn read(options: &Value) -> Self {
        StatOptions {
            reduce: ReduceOptions::read(options),
            orientation: options.text_or("orientation", "auto"),
            color_mode: options.text_or("colorMode", "value"),
            graph_mode: options.text_or("graphMode", "area"),
            justify_mode: options.text_or("justifyMode", "auto"),
            text_mode: options.text_or("textMode", "auto"),
            wide_layout: options.flag_or("wideLayout", true),
            show_percent_change: options.flag("showPercentChange"),
            percent_change_color_mode: options.text_or("percentChangeColorMode", "standard"),
            title_size: options.child("text").number("titleSize"),
            value_size: options.child("text").number("valueSize"),
        }
    }
}

/// Gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct GaugeOptions {
    pub reduce: ReduceOptions,
    pub orientation: String,
    /// `gauge` or `circle`.
    pub shape: String,
    pub show_threshold_markers: bool,
    pub show_threshold_labels: bool,
    pub min_viz_width: f64,
    pub min_viz_height: f64,
    pub segment_count: u32,
    pub bar_width_factor: f64,
    pub sparkline: bool,
    pub neutral: Option<f64>,
}

impl GaugeOptions {
    pub fn read(options: &Value) -> Self {
        GaugeOptions {
            reduce: ReduceOptions::read(options),
            orientation: options.text_or("orientation", "auto"),
            shape: options.text_or("shape", "gauge"),
            show_threshold_markers: options.flag_or("showThresholdMarkers", true),
            show_threshold_labels: options.flag("showThresholdLabels"),
            min_viz_width: options.number("minVizWidth").unwrap_or(75.0),
            min_viz_height: options.number("minVizHeight").unwrap_or(75.0),
            segment_count: options.number("segmentCount").map_or(1, |count| count.clamp(1.0, 100.0) as u32),
            bar_width_factor: options.number("barWidthFactor").unwrap_or(0.5),
            sparkline: options.flag_or("sparkline", true),
            neutral: options.number("neutral"),
        }
    }
}

/// Bar gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct BarGaugeOptions {
    pub reduce: ReduceOptions,
    pub orientation: String,
    /// `basic`, `gradient`, `lcd`.
    pub display_mode: String,
    /// `color`, `text`, `hidden`.
    pub value_mode: String,
    /// `auto`, `top`, `left`, `hidden`.
    pub name_placement: String,
    pub show_unfilled: bool,
    pub min_viz_width: f64,
    pub min_viz_height: f64,
    pub max_viz_height: f64,
}

impl BarGaugeOptions {
    pub fn read(options: &Value) -> Self {
        BarGaugeOptions {
            reduce: ReduceOptions::read(options),
            orientation: options.text_or("orientation", "auto"),
            display_mode: options.text_or("displayMode", "gradient"),
            value_mode: options.text_or("valueMode", "color"),
            name_placement: options.text_or("namePlacement", "auto"),
            show_unfilled: options.flag_or("showUnfilled", true),
            min_viz_width: options.number("minVizWidth").unwrap_or(8.0),
            min_viz_height: options.number("minVizHeight").unwrap_or(16.0),
            max_viz_height: options.number("maxVizHeight").unwrap_or(300.0),
        }
    }
}

/// Table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableOptions {
    pub frame_index: usize,
    pub show_header: bool,
    /// Display name, descending.
    pub sort_by: Vec<(String, bool)>,
    /// `sm`, `md`, `lg`, `auto`.
    pub cell_height: String,
    pub enable_pagination: bool,
    pub page_size: Option<usize>,
    /// Reducers of the footer, empty for none.
    pub footer_reducers: Vec<String>,
    pub footer_fields: Vec<String>,
    pub frozen_left: usize,
}

impl TableOptions {
    pub fn read(options: &Value) -> Self {
        let footer = options.child("footer");
        TableOptions {
            frame_index: options.number("frameIndex").map_or(0, |index| index.max(0.0) as usize),
            show_header: options.flag_or("showHeader", true),
            sort_by: options.list("sortBy").iter().map(|sort| (sort.text("displayName"), sort.flag("desc"))).collect(),
            cell_height: options.text_or("cellHeight", "sm"),
            enable_pagination: options.flag("enablePagination"),
            page_size: options.number("pageSize").map(|size| size.max(1.0) as usize),
            footer_reducers: if footer.flag("show") { footer.texts("reducer") } else { Vec::new() },
            footer_fields: footer.texts("fields"),
            frozen_left: options.child("frozenColumns").number("left").map_or(0, |left| left.max(0.0) as usize),
        }
    }
}

/// Heatmap.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatmapOptions {
    pub calculate: bool,
    /// `scheme` or `opacity`.
    pub color_mode: String,
    pub color_scheme: String,
    pub color_fill: String,
    /// `linear` or `exponential`.
    pub color_scale: String,
    pub color_exponent: f64,
    pub color_steps: u32,
    pub color_min: Option<f64>,
    pub color_max: Option<f64>,
    pub color_reverse: bool,
    pub cell_gap: f64,
    /// Values of cells at or below this are not drawn.
    pub filter_le: f64,
    pub y_unit: String,
    pub y_decimals: Option<u8>,
    pub y_reverse: bool,
    pub cell_unit: String,
    pub show_legend: bool,
}

impl HeatmapOptions {
    pub fn read(options: &Value) -> Self {
        let color = options.child("color");
        let y = options.child("yAxis");
        HeatmapOptions {
            calculate: options.flag("calculate"),
            color_mode: color.text_or("mode", "scheme"),
            color_scheme: color.text_or("scheme", "Oranges"),
            color_fill: color.text("fill"),
            color_scale: color.text_or("scale", "exponential"),
            color_exponent: color.number("exponent").unwrap_or(0.5),
            color_steps: color.number("steps").map_or(64, |steps| steps.clamp(2.0, 128.0) as u32),
            color_min: color.number("min"),
            color_max: color.number("max"),
            color_reverse: color.flag("reverse"),
            cell_gap: options.number("cellGap").unwrap_or(1.0).clamp(0.0, 25.0),
            filter_le: options.child("filterValues").number("le").unwrap_or(1e-9),
            y_unit: y.text("unit"),
            y_decimals: y.number("decimals").map(|decimals| decimals.clamp(0.0, 20.0) as u8),
            y_reverse: y.flag("reverse"),
            cell_unit: options.child("cellValues").text("unit"),
            show_legend: options.child("legend").flag_or("show", true),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextMode {
    #[default]
    Markdown,
    Html,
    Code,
}

/// Text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextOptions {
    pub mode: TextMode,
    pub content: String,
    pub language: String,
}

impl TextOptions {
    pub fn read(options: &Value) -> Self {
        TextOptions {
            mode: match options.text("mode").as_str() {
                "html" => TextMode::Html,
                "code" => TextMode::Code,
                _ => TextMode::Markdown,
            },
            content: options.text("content"),
            language: options.child("code").text("language"),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrawStyle {
    #[default]
    Line,
    Bars,
    Points,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineInterpolation {
    #[default]
    Linear,
    Smooth,
    StepBefore,
    StepAfter,
}
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LineStyle {
    #[default]
    Solid,
    /// Lengths on and off, in px.
    Dash(Vec<f32>),
    Dot,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShowPoints {
    #[default]
    Auto,
    Always,
    Never,
}
/// `spanNulls`: which gaps a line bridges.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum SpanNulls {
    #[default]
    Never,
    Always,
    /// Gaps up to this long, in ms.
    Shorter(f64),
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stacking {
    #[default]
    None,
    /// Group.
    Normal(String),
    Percent(String),
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThresholdsStyle {
    pub line: bool,
    pub dashed: bool,
    pub area: bool,
}
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ScaleDistribution {
    #[default]
    Linear,
    /// Base 2 or 10.
    Log(u8),
    Symlog {
        base: u8,
        linear_threshold: f64,
    },
}

/// Axis part of `custom`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AxisStyle {
    /// `auto`, `left`, `right`, `hidden`.
    pub placement: String,
    pub label: String,
    pub width: Option<f64>,
    pub soft_min: Option<f64>,
    pub soft_max: Option<f64>,
    pub centered_zero: bool,
    pub grid_show: Option<bool>,
    pub scale: ScaleDistribution,
}

/// `custom` of a time series field.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphStyle {
    pub draw_style: DrawStyle,
    pub interpolation: LineInterpolation,
    pub line_width: f32,
    pub line_style: LineStyle,
    /// 0 to 100.
    pub fill_opacity: f32,
    /// `none`, `opacity`, `hue`, `scheme`.
    pub gradient_mode: String,
    pub fill_below_to: String,
    pub show_points: ShowPoints,
    pub point_size: f32,
    pub span_nulls: SpanNulls,
    pub stacking: Stacking,
    pub bar_alignment: i8,
    pub bar_width_factor: f32,
    /// `transform: negative-Y`.
    pub negative_y: bool,
    pub thresholds_style: ThresholdsStyle,
    pub axis: AxisStyle,
    pub hide_from_legend: bool,
    pub hide_from_tooltip: bool,
    pub hide_from_viz: bool,
}

impl GraphStyle {
    pub fn read(custom: &Map<String, Value>) -> Self {
        let get = |key: &str| custom.get(key).unwrap_or(&Value::Null);
        let text = |key: &str| as_text(get(key));
        let number = |key: &str| as_number(get(key));
        let scale = get("scaleDistribution");
        let base = if scale.number("log") == Some(2.0) { 2 } else { 10 };
        let style = get("lineStyle");
        let stacking = get("stacking");
        let hide = get("hideFrom");
        GraphStyle {
            draw_style: match text("drawStyle").as_str() {
                "bars" => DrawStyle::Bars,
                "points" => DrawStyle::Points,
                _ => DrawStyle::Line,
            },
            interpolation: match text("lineInterpolation").as_str() {
                "smooth" => LineInterpolation::Smooth,
                "stepBefore" => LineInterpolation::StepBefore,
                "stepAfter" => LineInterpolation::StepAfter,
                _ => LineInterpolation::Linear,
            },
            line_width: number("lineWidth").unwrap_or(1.0).clamp(0.0, 20.0) as f32,
            line_style: match style.text("fill").as_str() {
                "dash" => {
                    let dash: Vec<f32> =
                        style.list("dash").iter().filter_map(as_number).map(|length| length as f32).collect();
                    LineStyle::Dash(if dash.is_empty() { vec![10.0, 10.0] } else { dash })
                }
                "dot" => LineStyle::Dot,
                _ => LineStyle::Solid,
            },
            fill_opacity: number("fillOpacity").unwrap_or(0.0).clamp(0.0, 100.0) as f32,
            gradient_mode: match text("gradientMode") {
                mode if mode.is_empty() => "none".to_owned(),
                mode => mode,
            },
            fill_below_to: text("fillBelowTo"),
            show_points: match text("showPoints").as_str() {
                "always" => ShowPoints::Always,
                "never" => ShowPoints::Never,
                _ => ShowPoints::Auto,
            },
            point_size: number("pointSize").unwrap_or(5.0).clamp(1.0, 40.0) as f32,
            span_nulls: match get("spanNulls") {
                Value::Bool(true) => SpanNulls::Always,
                Value::Number(ms) => SpanNulls::Shorter(ms.as_f64().unwrap_or(0.0)),
                _ => SpanNulls::Never,
            },
            stacking: match stacking.text("mode").as_str() {
                "normal" => Stacking::Normal(stacking.text_or("group", "A")),
                "percent" => Stacking::Percent(stacking.text_or("group", "A")),
                _ => Stacking::None,
            },
            bar_alignment: number("barAlignment").unwrap_or(0.0).clamp(-1.0, 1.0) as i8,
            bar_width_factor: number("barWidthFactor").unwrap_or(0.6).clamp(0.05, 1.0) as f32,
            negative_y: text("transform") == "negative-Y",
            thresholds_style: {
                let mode = get("thresholdsStyle").text("mode");
                ThresholdsStyle {
                    line: mode.contains("line") || mode.contains("dashed"),
                    dashed: mode.contains("dashed"),
                    area: mode.contains("area"),
                }
            },
            axis: AxisStyle {
                placement: match text("axisPlacement") {
                    placement if placement.is_empty() => "auto".to_owned(),
                    placement => placement,
                },
                label: text("axisLabel"),
                width: number("axisWidth"),
                soft_min: number("axisSoftMin"),
                soft_max: number("axisSoftMax"),
                centered_zero: get("axisCenteredZero").as_bool().unwrap_or(false),
                grid_show: get("axisGridShow").as_bool(),
                scale: match scale.text("type").as_str() {
                    "log" => ScaleDistribution::Log(base),
                    "symlog" => ScaleDistribution::Symlog {
                        base,
                        linear_threshold: scale.number("linearThreshold").filter(|limit| *limit > 0.0).unwrap_or(1.0),
                    },
                    _ => ScaleDistribution::Linear,
                },
            },
            hide_from_legend: hide.flag("legend"),
            hide_from_tooltip: hide.flag("tooltip"),
            hide_from_viz: hide.flag("viz"),
        }
    }
}
