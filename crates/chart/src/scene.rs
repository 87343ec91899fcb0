//! What to draw.

use crate::axis::Scale;
use dashboard::{
    calendar::Calendar,
    colors::{Rgba, Theme},
    field,
    frame::{FieldType, Frame},
    model::{AxisStyle, GraphStyle, ScaleDistribution, Stacking},
};

/// A rectangle in px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x: f32,
    pub y: f32,
    pub w: f32,
    pub h: f32,
}

impl Rect {
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }

    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.x && x <= self.right() && y >= self.y && y <= self.bottom()
    }
}

/// One series. Times and values have the same length; NaN is a gap.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub color: Rgba,
    /// 0 solid, 1 dashed, 2 dotted: tells series apart beyond the eighth.
    pub dash: u8,
    pub style: GraphStyle,
    /// Index in [`Scene::axes`].
    pub axis: usize,
    pub times: Vec<i64>,
    pub values: Vec<f64>,
    /// After [`stack`]: what the series stands on, as long as `values`; empty if it stands on the ground.
    pub base: Vec<f64>,
    /// After [`stack`]: top of the series; empty means `values`.
    pub top: Vec<f64>,
    /// Index of the series the area reaches down to (`fillBelowTo`).
    pub fill_to: Option<usize>,
    pub hidden: bool,
    /// Place in the data: frame and field.
    pub frame: usize,
    pub field: usize,
}

impl Series {
    /// What is drawn: the stacked top, or the values.
    pub fn drawn(&self) -> &[f64] {
        if self.top.len() == self.values.len() { &self.top } else { &self.values }
    }
}

/// A vertical axis.
#[derive(Clone, Debug, Default)]
pub struct YAxis {
    pub unit: String,
    pub decimals: Option<u8>,
    /// Fixed bounds.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub style: AxisStyle,
    pub right: bool,
    pub hidden: bool,
    /// A unit is written once in the panel's header, ticks carry bare numbers.
    pub bare_ticks: bool,
}

/// A horizontal line with a name, or the area above it.
#[derive(Clone, Debug)]
pub struct ThresholdLine {
    pub value: f64,
    /// Upper end of the area; `None` reaches to the top.
    pub until: Option<f64>,
    pub color: Rgba,
    pub line: bool,
    pub dashed: bool,
    pub area: bool,
    pub name: String,
}

/// An event on the time axis.
#[derive(Clone, Debug)]
pub struct Marker {
    pub time_ms: i64,
    /// End of a region.
    pub until_ms: Option<i64>,
    pub color: Rgba,
}

/// A stretch of time with a ground of its own.
pub type Band = (i64, i64, Rgba);

/// A time series chart. Sizes are in device px: multiply CSS px by `scale` yourself.
#[derive(Clone)]
pub struct Scene<'a> {
    pub width: f32,
    pub height: f32,
    /// Device px per CSS px; fonts, strokes and margins grow with it.
    pub scale: f32,
    pub theme: Theme,
    pub calendar: Calendar<'a>,
    pub from_ms: i64,
    pub to_ms: i64,
    pub axes: Vec<YAxis>,
    pub series: Vec<Series>,
    pub thresholds: Vec<ThresholdLine>,
    pub markers: Vec<Marker>,
    pub bands: Vec<Band>,
    pub show_x_axis: bool,
    /// Vertical zoom that the viewer chose for the first axis.
    pub y_zoom: Option<(f64, f64)>,
    /// Font sizes are multiplied by this; plotters' SVG backend writes them 1.24 times too small.
    pub text_factor: f32,
}

impl<'a> Scene<'a> {
    pub fn new(width: f32, height: f32, from_ms: i64, to_ms: i64, calendar: Calendar<'a>) -> Self {
        Scene {
            width,
            height,
            scale: 1.0,
            theme: Theme::Dark,
            calendar,
            from_ms,
            to_ms: to_ms.max(from_ms + 1),
            axes: vec![YAxis::default()],
            series: Vec::new(),
            thresholds: Vec::new(),
            markers: Vec::new(),
            bands: Vec::new(),
            show_x_axis: true,
            y_zoom: None,
            text_factor: 1.0,
        }
    }
}

/// Where the data lie, and how values become pixels.
#[derive(Clone, Debug)]
pub struct Plot {
    pub rect: Rect,
    pub from_ms: i64,
    pub to_ms: i64,
    /// One per axis of the scene.
    pub scales: Vec<Scale>,
}

impl Plot {
    pub fn x(&self, time_ms: i64) -> f32 {
        let share = (time_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms).max(1) as f64;
        self.rect.x + (share * f64::from(self.rect.w)) as f32
    }

    /// NaN for what the scale cannot show.
    pub fn y(&self, axis: usize, value: f64) -> f32 {
        let Some(scale) = self.scales.get(axis).or(self.scales.first()) else { return f32::NAN };
        // Far outside the picture every place is the same, and f32 and canvases stay exact.
        let share = scale.share(value).clamp(-50.0, 50.0);
        self.rect.bottom() - (share * f64::from(self.rect.h)) as f32
    }

    pub fn time_at(&self, x: f32) -> i64 {
        let share = f64::from((x - self.rect.x) / self.rect.w.max(1.0));
        self.from_ms + (share * (self.to_ms - self.from_ms) as f64).round() as i64
    }

    pub fn value_at(&self, axis: usize, y: f32) -> f64 {
        let share = f64::from((self.rect.bottom() - y) / self.rect.h.max(1.0));
        self.scales.get(axis).map_or(f64::NAN, |scale| scale.value(share))
    }
}

/// Fills series, axes and thresholds of a scene from frames whose field options are applied. Fields hidden from the
/// drawing are left out; `shown` decides about the rest by display name (the legend's selection).
pub fn build(scene: &mut Scene<'_>, frames: &[Frame], shown: &dyn Fn(&str) -> bool) {
    let mut places = Vec::new();
    for (frame_at, frame) in frames.iter().enumerate() {
        if frame.time_field().is_none() {
            continue;
        }
        for (field_at, field) in frame.fields.iter().enumerate() {
            if field.kind() == FieldType::Number {
                places.push((frame_at, field_at));
            }
        }
    }
    let fields: Vec<_> = places.iter().map(|(frame, field)| &frames[*frame].fields[*field]).collect();
    let colors = field::line_colors(&fields, scene.theme);
    scene.axes.clear();
    scene.series.clear();
    let mut axis_keys: Vec<(String, String, bool)> = Vec::new();
    for (((frame_at, field_at), field), (color, palette)) in places.into_iter().zip(&fields).zip(colors) {
        let style = GraphStyle::read(&field.config.custom);
        if style.hide_from_viz {
            continue;
        }
        // Fields that share unit and placement share an axis.
        let key = (
            field.config.unit.clone(),
            style.axis.placement.clone(),
            matches!(style.axis.scale, ScaleDistribution::Linear),
        );
        let axis = axis_keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            let right = match style.axis.placement.as_str() {
                "right" => true,
                "left" | "hidden" => false,
                // Further units go to the right.
                _ => !axis_keys.is_empty(),
            };
            scene.axes.push(YAxis {
                unit: field.config.unit.clone(),
                decimals: field.config.decimals,
                min: field.config.min,
                max: field.config.max,
                style: style.axis.clone(),
                right,
                hidden: style.axis.placement == "hidden",
                bare_ticks: false,
            });
            axis_keys.push(key);
            axis_keys.len() - 1
        });
        let times = frames[frame_at].time_field().and_then(|time| time.times()).unwrap_or_default();
        let values = field.numbers().unwrap_or_default();
        let length = times.len().min(values.len());
        let values: Vec<f64> =
            values[..length].iter().map(|value| if style.negative_y { -value } else { *value }).collect();
        scene.series.push(Series {
            name: field.display_name.clone(),
            color,
            dash: palette.dash,
            hidden: !shown(&field.display_name),
            style,
            axis,
            times: times[..length].to_vec(),
            values,
            base: Vec::new(),
            top: Vec::new(),
            fill_to: None,
            frame: frame_at,
            field: field_at,
        });
    }
    if scene.axes.is_empty() {
        scene.axes.push(YAxis::default());
    }
    for at in 0..scene.series.len() {
        let wanted = scene.series[at].style.fill_below_to.clone();
        if !wanted.is_empty() {
            scene.series[at].fill_to = scene.series.iter().position(|series| series.name == wanted);
        }
    }
    thresholds_of(scene, &fields);
    stack(&mut scene.series);
}

fn thresholds_of(scene: &mut Scene<'_>, fields: &[&dashboard::frame::Field]) {
    scene.thresholds.clear();
    let Some(field) = fields.iter().find(|field| {
        let style = GraphStyle::read(&field.config.custom).thresholds_style;
        style.line || style.area
    }) else {
        return;
    };
    let style = GraphStyle::read(&field.config.custom).thresholds_style;
    let Some(thresholds) = &field.config.thresholds else { return };
    let data = field::auto_bounds(fields.iter().copied());
    let bounds = field::value_bounds(&field.config, data);
    let lines = field::threshold_lines(thresholds, bounds, scene.theme);
    for (at, (value, color)) in lines.iter().enumerate() {
        scene.thresholds.push(ThresholdLine {
            value: *value,
            until: lines.get(at + 1).map(|(next, _)| *next),
            color: *color,
            line: style.line,
            dashed: style.dashed,
            area: style.area,
            name: String::new(),
        });
    }
}

/// Stacks series of the same group, in order, at the times of all of them; percent stacks fill 0 to 100 (or 0 to 1 for
/// the unit's sake the caller decides: shares are of 1). A series without a value at a time adds nothing there.
pub fn stack(series: &mut [Series]) {
    let mut groups: Vec<(String, bool, usize)> = Vec::new();
    for one in series.iter_mut() {
        one.base.clear();
        one.top.clear();
        let key = match &one.style.stacking {
            Stacking::None => continue,
            Stacking::Normal(group) => (group.clone(), false, one.axis),
            Stacking::Percent(group) => (group.clone(), true, one.axis),
        };
        if !one.hidden && !groups.contains(&key) {
            groups.push(key);
        }
    }
    for (group, percent, axis) in groups {
        let members: Vec<usize> = (0..series.len())
            .filter(|at| {
                let one = &series[*at];
                !one.hidden
                    && one.axis == axis
                    && match &one.style.stacking {
                        Stacking::None => false,
                        Stacking::Normal(name) => !percent && *name == group,
                        Stacking::Percent(name) => percent && *name == group,
                    }
            })
            .collect();
        // Positive and negative values stack away from zero.
        let mut sums: std::collections::HashMap<i64, (f64, f64)> = std::collections::HashMap::new();
        let mut totals: std::collections::HashMap<i64, f64> = std::collections::HashMap::new();
        if percent {
            for at in &members {
                for (time, value) in
                    series[*at].times.iter().zip(&series[*at].values).filter(|(_, value)| value.is_finite())
                {
                    *totals.entry(*time).or_insert(0.0) += value.abs();
                }
            }
        }
        for at in members {
            let one = &mut series[at];
            for (time, value) in one.times.iter().zip(&one.values) {
                let (up, down) = sums.entry(*time).or_insert((0.0, 0.0));
                if !value.is_finite() {
                    one.base.push(f64::NAN);
                    one.top.push(f64::NAN);
                    continue;
                }
                let total = totals.get(time).copied().unwrap_or(1.0);
                let value = if percent { if total > 0.0 { value / total } else { 0.0 } } else { *value };
                let side = if value < 0.0 { down } else { up };
                one.base.push(*side);
                *side += value;
                one.top.push(*side);
            }
        }
    }
}
