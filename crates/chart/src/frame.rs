//! The frame around the data, and drawing all of it on one backend.

use crate::{
    axis::{scale_of, ticks_of},
    geometry::{Fill, Geometry, geometry},
    scene::{Plot, Rect, Scene},
    ticks::{tick_unit, time_ticks},
};
use dashboard::{colors::Rgba, units};
use plotters::style::{IntoFont, TextStyle};
use plotters_backend::{
    BackendColor, BackendStyle, DrawingBackend, DrawingErrorKind,
    text_anchor::{HPos, Pos, VPos},
};

type Outcome<B> = Result<(), DrawingErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Font size of axis labels in CSS px.
const AXIS_FONT_PX: f32 = 10.5;

struct Look {
    color: Rgba,
    width: f32,
}

impl BackendStyle for Look {
    fn color(&self) -> BackendColor {
        backend_color(self.color)
    }

    fn stroke_width(&self) -> u32 {
        self.width.round().max(1.0) as u32
    }
}

fn backend_color(color: Rgba) -> BackendColor {
    BackendColor { alpha: f64::from(color.a), rgb: (color.r, color.g, color.b) }
}

fn text_style(size: f32, color: Rgba, h: HPos, v: VPos) -> TextStyle<'static> {
    TextStyle { font: ("sans-serif", f64::from(size)).into_font(), color: backend_color(color), pos: Pos::new(h, v) }
}

const fn look(color: Rgba, width: f32) -> Look {
    Look { color, width }
}

/// Draws grid, axes, bands, thresholds and markers, without the ground behind them and without the series. Answers
/// where the series belong.
///
/// # Errors
/// What the backend reports.
pub fn draw_frame<B: DrawingBackend>(
    backend: &mut B,
    scene: &Scene<'_>,
) -> Result<Plot, DrawingErrorKind<B::ErrorType>> {
    let scale = scene.scale;
    let tokens = scene.theme.tokens();
    let font = AXIS_FONT_PX * scale * scene.text_factor;
    let bottom = if scene.show_x_axis { 20.0 * scale } else { 4.0 * scale };
    let top = 8.0 * scale;
    let height = (scene.height - top - bottom).max(1.0);
    // One line per 45 px reads well; a small panel gets two.
    let count = (height / (45.0 * scale)).clamp(2.0, 8.0) as usize;
    let mut scales = Vec::with_capacity(scene.axes.len());
    let mut labels: Vec<Vec<(f64, String)>> = Vec::with_capacity(scene.axes.len());
    let (mut left, mut right) = (4.0 * scale, 8.0 * scale);
    let mut rights = Vec::new();
    for (at, axis) in scene.axes.iter().enumerate() {
        let y_scale = scale_of(scene, at, count);
        let ticks = ticks_of(&y_scale, count, tick_unit(&axis.unit));
        let texts = tick_labels(&ticks, &axis.unit, axis.decimals, axis.bare_ticks, scene);
        let style = text_style(font, tokens.t3, HPos::Right, VPos::Center);
        let mut width = 0.0_f32;
        for (_, text) in &texts {
            let (text_width, _) = backend.estimate_text_size(text, &style)?;
            width = width.max(text_width as f32 / scene.text_factor);
        }
        if !axis.hidden {
            let width = axis.style.width.map_or(width + 10.0 * scale, |width| width as f32 * scale);
            if axis.right {
                rights.push((at, right));
                right += width;
            } else {
                left = left.max(width);
            }
        }
        scales.push(y_scale);
        labels.push(texts);
    }
    let rect = Rect { x: left, y: top, w: (scene.width - left - right).max(1.0), h: height };
    let plot = Plot { rect, from_ms: scene.from_ms, to_ms: scene.to_ms, scales };

    for (from, to, color) in &scene.bands {
        let (x0, x1) = (plot.x(*from).max(rect.x), plot.x(*to).min(rect.right()));
        if x1 > x0 {
            backend.draw_rect(point(x0, rect.y), point(x1, rect.bottom()), &backend_color(*color), true)?;
        }
    }
    for line in scene.thresholds.iter().filter(|line| line.area) {
        let y0 = plot.y(0, line.until.unwrap_or(f64::MAX)).max(rect.y);
        let y1 = plot.y(0, line.value).min(rect.bottom());
        if y1 > y0 {
            let color = line.color.with_alpha(0.1);
            backend.draw_rect(point(rect.x, y0), point(rect.right(), y1), &backend_color(color), true)?;
        }
    }
    for (at, axis) in scene.axes.iter().enumerate() {
        let side = rights.iter().find(|(index, _)| *index == at).map(|(_, offset)| *offset);
        for (value, text) in &labels[at] {
            let y = plot.y(at, *value).round();
            if y < rect.y - 1.0 || y > rect.bottom() + 1.0 || y.is_nan() {
                continue;
            }
            if at == 0 && axis.style.grid_show != Some(false) {
                backend.draw_line(point(rect.x, y), point(rect.right(), y), &look(tokens.grid, scale))?;
            }
            if axis.hidden {
                continue;
            }
            match side {
                Some(offset) => {
                    let x = scene.width - offset + 2.0 * scale;
                    backend.draw_text(
                        text,
                        &text_style(font, tokens.t3, HPos::Left, VPos::Center),
                        point(x.min(rect.right() + 6.0 * scale), y),
                    )?;
                }
                None => {
                    let style = text_style(font, tokens.t3, HPos::Right, VPos::Center);
                    backend.draw_text(text, &style, point(rect.x - 6.0 * scale, y))?;
                }
            }
        }
    }
    if scene.show_x_axis {
        let wanted = (rect.w / (84.0 * scale)).clamp(1.0, 16.0) as usize;
        let mut free_from = f32::NEG_INFINITY;
        for tick in time_ticks(scene.from_ms, scene.to_ms, wanted, &scene.calendar) {
            let x = plot.x(tick.time_ms).round();
            let color = if tick.major { tokens.t2 } else { tokens.t3 };
            let style = text_style(font, color, HPos::Center, VPos::Top);
            let (width, _) = backend.estimate_text_size(&tick.label, &style)?;
            let half = width as f32 / scene.text_factor / 2.0;
            // The first and last label stay within the picture.
            let at = x.clamp(rect.x.min(half), (scene.width - half).max(half));
            if at - half < free_from || (at - x).abs() > half {
                continue;
            }
            free_from = at + half + 6.0 * scale;
            backend.draw_text(&tick.label, &style, point(at, rect.bottom() + 5.0 * scale))?;
        }
    }
    for line in scene.thresholds.iter().filter(|line| line.line) {
        let y = plot.y(0, line.value).round();
        if y < rect.y || y > rect.bottom() || y.is_nan() {
            continue;
        }
        let style = look(line.color, scale);
        if line.dashed {
            dashed(backend, (rect.x, y), (rect.right(), y), 7.0 * scale, 4.0 * scale, &style)?;
        } else {
            backend.draw_line(point(rect.x, y), point(rect.right(), y), &style)?;
        }
        if !line.name.is_empty() {
            let style = text_style(font, line.color, HPos::Left, VPos::Bottom);
            backend.draw_text(&line.name, &style, point(rect.x + 2.0 * scale, y - 2.0 * scale))?;
        }
    }
    for marker in &scene.markers {
        let x = plot.x(marker.time_ms).round();
        if let Some(until) = marker.until_ms {
            let (x0, x1) = (x.max(rect.x), plot.x(until).min(rect.right()));
            if x1 > x0 {
                backend.draw_rect(
                    point(x0, rect.y),
                    point(x1, rect.bottom()),
                    &backend_color(marker.color.with_alpha(0.1)),
                    true,
                )?;
            }
        }
        if x < rect.x || x > rect.right() {
            continue;
        }
        dashed(backend, (x, rect.y), (x, rect.bottom()), 2.0 * scale, 3.0 * scale, &look(marker.color, scale))?;
        let (y, size) = (rect.bottom(), 4.0 * scale);
        let diamond = [point(x, y - size), point(x + size, y), point(x, y + size), point(x - size, y)];
        backend.fill_polygon(diamond, &backend_color(marker.color))?;
    }
    Ok(plot)
}

/// Labels of ticks with as many decimals as tell neighbours apart.
fn tick_labels(ticks: &[f64], unit: &str, decimals: Option<u8>, bare: bool, scene: &Scene<'_>) -> Vec<(f64, String)> {
    let context = units::FormatContext { calendar: scene.calendar, now_ms: scene.to_ms };
    let write = |decimals: Option<u8>| -> Vec<String> {
        ticks
            .iter()
            .map(|tick| {
                let said = units::format(Some(*tick), unit, decimals, &context);
                if bare { format!("{}{}", said.prefix, said.text) } else { said.to_string().trim().to_owned() }
            })
            .map(|text| text.replace('-', "−"))
            .collect()
    };
    let texts = match decimals {
        Some(_) => write(decimals),
        None => (0..=4)
            .map(|decimals| write(Some(decimals)))
            .find(|texts| {
                // As short as possible, but different ticks must read different, and right.
                texts.windows(2).all(|pair| pair[0] != pair[1]) && evenly_rounded(ticks, texts)
            })
            .unwrap_or_else(|| write(None)),
    };
    let mut labels: Vec<(f64, String)> = ticks.iter().copied().zip(texts).collect();
    // With fixed decimals neighbours may still read the same: one line says it.
    labels.dedup_by(|later, earlier| later.1 == earlier.1);
    labels
}

/// Whether rounding kept the steps: `2.5` as `3` (or `2`) beside `5` would lie.
fn evenly_rounded(ticks: &[f64], texts: &[String]) -> bool {
    let number = |text: &String| {
        text.replace('−', "-")
            .chars()
            .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | '-'))
            .collect::<String>()
            .parse::<f64>()
    };
    ticks.iter().zip(texts).all(|(tick, text)| {
        let Ok(said) = number(text) else { return true };
        if *tick == 0.0 || said == 0.0 {
            return *tick == said;
        }
        // The shown number is the tick over some factor of the unit: its leading digits must agree.
        let mantissa = |value: f64| value.abs() / 10f64.powf(value.abs().log10().floor());
        let (a, b) = (mantissa(*tick), mantissa(said));
        let binary_or_clock = !text.chars().all(|c| c.is_ascii_digit() || ".−%".contains(c));
        binary_or_clock && said.fract() != 0.0
            || (a - b).abs() < 0.02
            || (a / b - 10.0).abs() < 0.1
            || (b / a - 10.0).abs() < 0.1
            || (binary_or_clock && (said.fract() == 0.0) && is_whole_multiple(*tick, said))
    })
}

/// `tick` is `said` times a power of 1024 or a step of the clock.
fn is_whole_multiple(tick: f64, said: f64) -> bool {
    let factor = (tick / said).abs();
    let steps = [1024.0, 60.0, 3600.0, 86_400.0, 60_000.0, 3_600_000.0, 86_400_000.0, 604_800.0];
    let binary = (1..=6).any(|power| (factor / 1024f64.powi(power) - 1.0).abs() < 1e-6);
    binary || steps.iter().any(|step| (factor / step - 1.0).abs() < 1e-6)
}

fn point(x: f32, y: f32) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn dashed<B: DrawingBackend>(
    backend: &mut B,
    from: (f32, f32),
    to: (f32, f32),
    on: f32,
    off: f32,
    style: &Look,
) -> Outcome<B> {
    let length = (to.0 - from.0).hypot(to.1 - from.1);
    if length <= 0.0 {
        return Ok(());
    }
    let place = |at: f32| point(from.0 + (to.0 - from.0) * at / length, from.1 + (to.1 - from.1) * at / length);
    let mut at = 0.0;
    while at < length {
        backend.draw_line(place(at), place((at + on).min(length)), style)?;
        at += (on + off).max(1.0);
    }
    Ok(())
}

/// Draws everything on one backend: ground, frame, series.
///
/// # Errors
/// What the backend reports.
pub fn draw<B: DrawingBackend>(backend: &mut B, scene: &Scene<'_>) -> Result<Plot, DrawingErrorKind<B::ErrorType>> {
    let ground = scene.theme.tokens().bg1;
    backend.draw_rect((0, 0), point(scene.width, scene.height), &backend_color(ground), true)?;
    let plot = draw_frame(backend, scene)?;
    draw_geometry(backend, &geometry(scene, &plot), &plot.rect)?;
    Ok(plot)
}

fn draw_geometry<B: DrawingBackend>(backend: &mut B, geometry: &Geometry, clip: &Rect) -> Outcome<B> {
    for fill in &geometry.fills {
        draw_fill(backend, fill, clip)?;
    }
    for stroke in &geometry.strokes {
        let Some(color) = stroke.color else { continue };
        let style = look(color, stroke.width);
        let mut path: Vec<(f32, f32)> = Vec::new();
        let flush = |path: &mut Vec<(f32, f32)>, backend: &mut B| -> Outcome<B> {
            for part in clipped(path, clip) {
                if stroke.dash.is_empty() {
                    backend.draw_path(part.iter().map(|(x, y)| point(*x, *y)), &style)?;
                } else {
                    draw_dashes(backend, &part, &stroke.dash, &style)?;
                }
            }
            path.clear();
            Ok(())
        };
        for pair in stroke.xy.chunks_exact(2) {
            if pair[1].is_nan() {
                flush(&mut path, backend)?;
            } else {
                path.push((pair[0], pair[1]));
            }
        }
        flush(&mut path, backend)?;
    }
    for dots in &geometry.dots {
        let Some(color) = dots.color else { continue };
        for pair in dots.xy.chunks_exact(2).filter(|pair| clip.contains(pair[0], pair[1])) {
            backend.draw_circle(
                point(pair[0], pair[1]),
                dots.radius.round().max(1.0) as u32,
                &backend_color(color),
                true,
            )?;
        }
    }
    Ok(())
}

fn draw_fill<B: DrawingBackend>(backend: &mut B, fill: &Fill, clip: &Rect) -> Outcome<B> {
    let Some(color) = fill.color else { return Ok(()) };
    let mut start = 0;
    for end in &fill.ends {
        let polygon = fill.xy[start..*end as usize]
            .chunks_exact(2)
            .map(|pair| point(pair[0].clamp(clip.x, clip.right()), pair[1].clamp(clip.y, clip.bottom())))
            .collect::<Vec<_>>();
        backend.fill_polygon(polygon, &backend_color(color))?;
        start = *end as usize;
    }
    Ok(())
}

/// Cuts a line at the edges of the plot.
fn clipped(path: &[(f32, f32)], clip: &Rect) -> Vec<Vec<(f32, f32)>> {
    let mut parts: Vec<Vec<(f32, f32)>> = Vec::new();
    for pair in path.windows(2) {
        let Some((a, b)) = clip_segment(pair[0], pair[1], clip) else { continue };
        match parts.last_mut() {
            Some(part) if part.last() == Some(&a) => part.push(b),
            _ => parts.push(vec![a, b]),
        }
    }
    parts
}

/// Liang and Barsky: the part of a segment within a rectangle.
fn clip_segment(a: (f32, f32), b: (f32, f32), clip: &Rect) -> Option<((f32, f32), (f32, f32))> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut start, mut end) = (0.0_f32, 1.0_f32);
    for (p, q) in [(-dx, a.0 - clip.x), (dx, clip.right() - a.0), (-dy, a.1 - clip.y), (dy, clip.bottom() - a.1)] {
        if p == 0.0 {
            if q < 0.0 {
                return None;
            }
        } else if p < 0.0 {
            start = start.max(q / p);
        } else {
            end = end.min(q / p);
        }
    }
    let at = |share: f32| {
        if share == 0.0 {
            a
        } else if share == 1.0 {
            b
        } else {
            (a.0 + dx * share, a.1 + dy * share)
        }
    };
    (start <= end).then(|| (at(start), at(end)))
}

fn draw_dashes<B: DrawingBackend>(backend: &mut B, path: &[(f32, f32)], dash: &[f32], style: &Look) -> Outcome<B> {
    let (mut index, mut left, mut on) = (0, dash[0].max(1.0), true);
    for pair in path.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let mut done = 0.0;
        while done < length {
            let piece = left.min(length - done);
            if on {
                let place = |at: f32| point(a.0 + (b.0 - a.0) * at / length, a.1 + (b.1 - a.1) * at / length);
                backend.draw_line(place(done), place(done + piece), style)?;
            }
            done += piece;
            left -= piece;
            if left <= 0.0 {
                on = !on;
                index = (index + 1) % dash.len();
                left = dash[index].max(1.0);
            }
        }
    }
    Ok(())
}
