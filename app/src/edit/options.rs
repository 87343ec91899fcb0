//! The options that the editor offers, by group. A new one is a line here.

use super::field::{Kind, Opt};

/// Types whose drawing has one figure per series.
const SINGLE: &[&str] = &["stat", "gauge", "bargauge"];
const LINES: &[&str] = &["timeseries", "trend", "graph"];
const WITH_VALUES: &[&str] = &["timeseries", "trend", "graph", "stat", "gauge", "bargauge", "table", "heatmap"];

const fn all(word: &'static str, path: &'static str, kind: Kind) -> Opt {
    Opt { word, path, kind, only: &[] }
}

const fn of(only: &'static [&'static str], word: &'static str, path: &'static str, kind: Kind) -> Opt {
    Opt { word, path, kind, only }
}

const CALCS: Kind = Kind::Select(&[
    ("lastNotNull", "Last"),
    ("mean", "Mean"),
    ("max", "Max"),
    ("min", "Min"),
    ("sum", "Total"),
    ("first", "First"),
    ("count", "Count"),
    ("range", "Range"),
    ("delta", "Delta"),
]);

/// Title of the group and its options.
pub const GROUPS: &[(&str, &[Opt])] = &[
    (
        "Panel",
        &[
            all("Title", "title", Kind::Text("")),
            all("Description", "description", Kind::Text("Shown on the title")),
            all("No ground", "transparent", Kind::Toggle { default: false }),
            all("Repeat by", "repeat", Kind::Text("a variable")),
        ],
    ),
    (
        "Text",
        &[
            of(
                &["text"],
                "Format",
                "options.mode",
                Kind::Choice(&[("markdown", "Markdown"), ("html", "HTML"), ("code", "Code")]),
            ),
            of(&["text"], "Content", "options.content", Kind::LongText),
        ],
    ),
    (
        "Graph",
        &[
            of(
                LINES,
                "Style",
                "fieldConfig.defaults.custom.drawStyle",
                Kind::Choice(&[("line", "Lines"), ("bars", "Bars"), ("points", "Points")]),
            ),
            of(
                LINES,
                "Interpolation",
                "fieldConfig.defaults.custom.lineInterpolation",
                Kind::Select(&[
                    ("linear", "Linear"),
                    ("smooth", "Smooth"),
                    ("stepBefore", "Step before"),
                    ("stepAfter", "Step after"),
                ]),
            ),
            of(
                LINES,
                "Line width",
                "fieldConfig.defaults.custom.lineWidth",
                Kind::Number { min: 0.0, max: 10.0, step: 0.5 },
            ),
            of(
                LINES,
                "Fill",
                "fieldConfig.defaults.custom.fillOpacity",
                Kind::Number { min: 0.0, max: 100.0, step: 1.0 },
            ),
            of(
                LINES,
                "Stack",
                "fieldConfig.defaults.custom.stacking.mode",
                Kind::Choice(&[("none", "Off"), ("normal", "Normal"), ("percent", "100%")]),
            ),
            of(
                LINES,
                "Points",
                "fieldConfig.defaults.custom.showPoints",
                Kind::Choice(&[("auto", "Auto"), ("always", "Always"), ("never", "Never")]),
            ),
            of(LINES, "Connect gaps", "fieldConfig.defaults.custom.spanNulls", Kind::Toggle { default: false }),
            of(
                LINES,
                "Below zero",
                "fieldConfig.defaults.custom.transform",
                Kind::Choice(&[("", "As is"), ("negative-Y", "Negative")]),
            ),
        ],
    ),
    (
        "Figure",
        &[
            of(SINGLE, "Value", "options.reduceOptions.calcs.0", CALCS),
            of(
                SINGLE,
                "Orientation",
                "options.orientation",
                Kind::Choice(&[("auto", "Auto"), ("horizontal", "Horiz."), ("vertical", "Vertical")]),
            ),
            of(
                &["stat"],
                "Colour",
                "options.colorMode",
                Kind::Select(&[("value", "Value"), ("background", "Ground"), ("none", "None")]),
            ),
            of(
                &["stat"],
                "Graph",
                "options.graphMode",
                Kind::Choice(&[("area", "Area"), ("line", "Line"), ("none", "None")]),
            ),
            of(
                &["stat"],
                "Text",
                "options.textMode",
                Kind::Select(&[
                    ("auto", "Auto"),
                    ("value", "Value"),
                    ("value_and_name", "Value and name"),
                    ("name", "Name"),
                ]),
            ),
            of(&["stat"], "Change", "options.showPercentChange", Kind::Toggle { default: false }),
            of(&["gauge"], "Shape", "options.shape", Kind::Choice(&[("gauge", "Arc"), ("circle", "Circle")])),
            of(&["gauge"], "Threshold marks", "options.showThresholdMarkers", Kind::Toggle { default: true }),
            of(
                &["bargauge"],
                "Bars",
                "options.displayMode",
                Kind::Choice(&[("gradient", "Gradient"), ("basic", "Basic"), ("lcd", "LCD")]),
            ),
        ],
    ),
    (
        "Values",
        &[
            of(WITH_VALUES, "Unit", "fieldConfig.defaults.unit", Kind::Unit),
            of(
                WITH_VALUES,
                "Decimals",
                "fieldConfig.defaults.decimals",
                Kind::Number { min: 0.0, max: 15.0, step: 1.0 },
            ),
            of(
                WITH_VALUES,
                "Min",
                "fieldConfig.defaults.min",
                Kind::Number { min: f64::MIN, max: f64::MAX, step: 0.000_001 },
            ),
            of(
                WITH_VALUES,
                "Max",
                "fieldConfig.defaults.max",
                Kind::Number { min: f64::MIN, max: f64::MAX, step: 0.000_001 },
            ),
            of(WITH_VALUES, "No value", "fieldConfig.defaults.noValue", Kind::Text("No data")),
            of(
                WITH_VALUES,
                "Colours",
                "fieldConfig.defaults.color.mode",
                Kind::Select(&[
                    ("palette-classic", "By series"),
                    ("thresholds", "By thresholds"),
                    ("continuous-GrYlRd", "Green to red"),
                    ("continuous-blues", "Blues"),
                    ("fixed", "One colour"),
                ]),
            ),
            of(WITH_VALUES, "Fixed colour", "fieldConfig.defaults.color.fixedColor", Kind::Text("blue, #3d78e1")),
            of(
                LINES,
                "Scale",
                "fieldConfig.defaults.custom.scaleDistribution.type",
                Kind::Choice(&[("linear", "Linear"), ("log", "Log 10"), ("symlog", "Symlog")]),
            ),
            of(
                LINES,
                "Axis",
                "fieldConfig.defaults.custom.axisPlacement",
                Kind::Select(&[("auto", "Auto"), ("left", "Left"), ("right", "Right"), ("hidden", "Hidden")]),
            ),
        ],
    ),
    (
        "Legend",
        &[
            of(LINES, "Show", "options.legend.showLegend", Kind::Toggle { default: true }),
            of(LINES, "Form", "options.legend.displayMode", Kind::Choice(&[("list", "List"), ("table", "Table")])),
            of(LINES, "Place", "options.legend.placement", Kind::Choice(&[("bottom", "Below"), ("right", "Right")])),
            of(LINES, "Figures", "options.legend.calcs", Kind::Calcs),
            of(
                LINES,
                "Tooltip",
                "options.tooltip.mode",
                Kind::Choice(&[("single", "One"), ("multi", "All"), ("none", "Off")]),
            ),
            of(
                LINES,
                "Tooltip order",
                "options.tooltip.sort",
                Kind::Choice(&[("none", "As is"), ("asc", "Up"), ("desc", "Down")]),
            ),
        ],
    ),
    (
        "Table",
        &[
            of(
                &["table"],
                "Cell",
                "fieldConfig.defaults.custom.cellOptions.type",
                Kind::Select(&[
                    ("auto", "Text"),
                    ("color-text", "Coloured text"),
                    ("color-background", "Coloured ground"),
                    ("gauge", "Bar"),
                    ("sparkline", "Sparkline"),
                ]),
            ),
            of(
                &["table"],
                "Rows",
                "options.cellHeight",
                Kind::Choice(&[("sm", "Small"), ("md", "Medium"), ("lg", "Large")]),
            ),
            of(&["table"], "Header", "options.showHeader", Kind::Toggle { default: true }),
            of(&["table"], "Pages", "options.enablePagination", Kind::Toggle { default: false }),
        ],
    ),
    (
        "Query options",
        &[
            of(WITH_VALUES, "Min step", "interval", Kind::Text("15s")),
            of(WITH_VALUES, "Max points", "maxDataPoints", Kind::Number { min: 1.0, max: 11_000.0, step: 1.0 }),
            of(WITH_VALUES, "Own range", "timeFrom", Kind::Text("1h")),
            of(WITH_VALUES, "Time shift", "timeShift", Kind::Text("1d")),
        ],
    ),
];
