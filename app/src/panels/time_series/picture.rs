//! From frames to pixels: the scene, the drawing, and what is needed later to say what lies under the pointer.

use crate::{
    canvas::Surface,
    panels::{data::PanelData, values::Look},
};
use chart::{Plot, Scene};
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
    let plot = surface.draw(&scene)?;
    Some(Picture { scene, plot })
}
