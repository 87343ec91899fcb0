//! From frames to pixels: the scene, the drawing, and what is needed later to say what lies under the pointer.

use crate::{
    canvas::{Batch, Surface},
    panels::{data::PanelData, values::Look},
};
use chart::{Fill, Geometry, Plot, Scene};
use dashboard::colors::Rgba;
use web_sys::HtmlCanvasElement;

/// What was drawn last.
#[derive(Clone)]
pub struct Picture {
    pub scene: Scene<'static>,
    pub plot: Plot,
}

/// Draws everything but the crosshair. `shown` says which series by name.
pub fn draw(
    canvas: &HtmlCanvasElement,
    data: &PanelData,
    look: &Look,
    y_zoom: Option<(f64, f64)>,
    shown: &dyn Fn(&str) -> bool,
) -> Option<Picture> {
    let surface = Surface::prepare(canvas)?;
    let span = data.span?;
    let mut scene =
        Scene::new(surface.width as f32, surface.height as f32, span.from_ms, span.to_ms, look.zone.calendar());
    scene.theme = look.theme;
    scene.y_zoom = y_zoom;
    chart::build(&mut scene, &data.frames, shown);
    let plot = chart::draw_frame(&mut surface.backend(), &scene).ok()?;
    let rect = plot.rect;
    surface.clip(f64::from(rect.x), f64::from(rect.y) - 2.0, f64::from(rect.w), f64::from(rect.h) + 4.0);
    paint(&surface, &chart::geometry(&scene, &plot), &plot);
    surface.unclip();
    Some(Picture { scene, plot })
}

fn css(color: Option<Rgba>) -> String {
    color.map_or_else(|| "transparent".to_owned(), Rgba::css)
}

/// Areas, lines, points: three calls, however many series there are.
fn paint(surface: &Surface, geometry: &Geometry, plot: &Plot) {
    let mut areas = Batch::default();
    for fill in &geometry.fills {
        areas.push_area(separated(fill), &css(fill.color), &fill.fade_to.map_or_else(String::new, Rgba::css));
    }
    surface.areas(&areas, plot.rect.y, plot.rect.bottom());
    let mut lines = Batch::default();
    for stroke in &geometry.strokes {
        lines.push(stroke.xy.iter().copied(), &css(stroke.color), stroke.width, &stroke.dash);
    }
    surface.lines(&lines);
    let mut points = Batch::default();
    let mut radius = 2.5;
    for dots in &geometry.dots {
        points.push(dots.xy.iter().copied(), &css(dots.color), 0.0, &[]);
        radius = dots.radius;
    }
    if !points.is_empty() {
        surface.points(&points, radius);
    }
}

/// The polygons of one colour with a NaN between them.
fn separated(fill: &Fill) -> Vec<f32> {
    let mut out = Vec::with_capacity(fill.xy.len() + fill.ends.len() * 2);
    let mut start = 0;
    for end in &fill.ends {
        let end = *end as usize;
        out.extend_from_slice(fill.xy.get(start..end).unwrap_or_default());
        out.extend([0.0, f32::NAN]);
        start = end;
    }
    out
}
