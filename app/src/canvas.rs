//! Drawing on a `<canvas>`: a plotters backend for frames (axes, grid, labels), and whole groups of lines, areas, bars
//! and points in one call each, because every call from WASM into the browser costs more than the line it draws.

use chart::{Fill, Geometry, Plot, Scene};
use dashboard::colors::Rgba;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle,
    FontTransform,
    text_anchor::{HPos, VPos},
};
use std::{cell::RefCell, collections::HashMap, convert::Infallible};
use wasm_bindgen::{JsCast as _, prelude::*};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

#[wasm_bindgen(inline_js = r#"
// Every function takes pairs x, y in one array; ends[k] is where series k stops in it. NaN lifts the pen.
export function polylines(c, xy, ends, colors, widths, dashes) {
  let i = 0;
  c.lineJoin = 'round'; c.lineCap = 'butt';
  for (let k = 0; k < ends.length; k++) {
    c.beginPath(); let up = true; const end = ends[k];
    for (; i < end; i += 2) {
      const y = xy[i + 1];
      if (y !== y) { up = true; continue; }
      if (up) { c.moveTo(xy[i], y); up = false; } else c.lineTo(xy[i], y);
    }
    c.strokeStyle = colors[k]; c.lineWidth = widths[k];
    c.setLineDash(dashes[k]);
    c.stroke();
  }
  c.setLineDash([]);
}
// Closed shapes: every stretch between two NaN is one polygon.
export function polygons(c, xy, ends, colors, fades, top, bottom) {
  let i = 0;
  for (let k = 0; k < ends.length; k++) {
    c.beginPath(); let up = true; const end = ends[k];
    for (; i < end; i += 2) {
      const y = xy[i + 1];
      if (y !== y) { if (!up) c.closePath(); up = true; continue; }
      if (up) { c.moveTo(xy[i], y); up = false; } else c.lineTo(xy[i], y);
    }
    if (!up) c.closePath();
    c.fillStyle = colors[k];
    if (fades[k]) {
      const g = c.createLinearGradient(0, top, 0, bottom);
      g.addColorStop(0, colors[k]); g.addColorStop(1, fades[k]); c.fillStyle = g;
    }
    c.fill();
  }
}
// Each rectangle with a colour of its own, by index.
export function cells(c, r, indices, colors) {
  let last = -1;
  for (let k = 0, i = 0; k < indices.length; k++, i += 4) {
    if (indices[k] !== last) { last = indices[k]; c.fillStyle = colors[last]; }
    c.fillRect(r[i], r[i + 1], r[i + 2], r[i + 3]);
  }
}
// Small discs: one path while there are few, squares when there are many, because arc() is slow.
export function points(c, xy, ends, colors, radius) {
  let i = 0;
  const square = xy.length > 4000;
  for (let k = 0; k < ends.length; k++) {
    c.fillStyle = colors[k]; c.beginPath();
    for (const end = ends[k]; i < end; i += 2) {
      const x = xy[i], y = xy[i + 1];
      if (y !== y) continue;
      if (square) c.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      else { c.moveTo(x + radius, y); c.arc(x, y, radius, 0, 6.2832); }
    }
    c.fill();
  }
}
"#)]
extern "C" {
    fn polylines(
        c: &CanvasRenderingContext2d,
        xy: &[f32],
        ends: &[u32],
        colors: &js_sys::Array,
        widths: &[f32],
        dashes: &js_sys::Array,
    );
    fn polygons(
        c: &CanvasRenderingContext2d,
        xy: &[f32],
        ends: &[u32],
        colors: &js_sys::Array,
        fades: &js_sys::Array,
        top: f32,
        bottom: f32,
    );
    fn cells(c: &CanvasRenderingContext2d, r: &[f32], indices: &[u32], colors: &js_sys::Array);
    fn points(c: &CanvasRenderingContext2d, xy: &[f32], ends: &[u32], colors: &js_sys::Array, radius: f32);
}

/// Shapes of several series, gathered for one call. Coordinates are CSS pixels.
#[derive(Debug, Default)]
pub struct Batch {
    numbers: Vec<f32>,
    ends: Vec<u32>,
    colors: Vec<String>,
    widths: Vec<f32>,
    /// Lengths on and off; for areas the colour they fade to.
    dashes: Vec<Vec<f32>>,
    fades: Vec<String>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Appends one series as `x, y` pairs.
    pub fn push(&mut self, numbers: impl IntoIterator<Item = f32>, color: &str, width: f32, dash: &[f32]) {
        self.numbers.extend(numbers);
        self.ends.push(self.numbers.len() as u32);
        self.colors.push(color.to_owned());
        self.widths.push(width);
        self.dashes.push(dash.to_vec());
        self.fades.push(String::new());
    }

    /// Appends an area that fades from its colour at the top of the plot to another at the bottom.
    pub fn push_area(&mut self, numbers: impl IntoIterator<Item = f32>, color: &str, fade_to: &str) {
        self.push(numbers, color, 0.0, &[]);
        if let Some(last) = self.fades.last_mut() {
            fade_to.clone_into(last);
        }
    }

    fn colors(&self) -> js_sys::Array {
        self.colors.iter().map(|color| JsValue::from_str(color)).collect()
    }
}

/// A canvas sized for its place and the screen's pixel density.
#[derive(Clone, Debug)]
pub struct Surface {
    context: CanvasRenderingContext2d,
    /// CSS pixels.
    pub width: f64,
    pub height: f64,
}

impl Surface {
    /// Sizes the canvas to its CSS box times the pixel density and clears it. `None` while it has no size.
    pub fn prepare(canvas: &HtmlCanvasElement) -> Option<Surface> {
        let (width, height) = (f64::from(canvas.client_width()), f64::from(canvas.client_height()));
        if width < 4.0 || height < 4.0 {
            return None;
        }
        let ratio = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio()).clamp(1.0, 4.0);
        let (pixels_wide, pixels_high) = ((width * ratio).round() as u32, (height * ratio).round() as u32);
        // Setting a size clears the canvas even when nothing changes, and costs a new buffer.
        if canvas.width() != pixels_wide || canvas.height() != pixels_high {
            canvas.set_width(pixels_wide);
            canvas.set_height(pixels_high);
        }
        let context = canvas.get_context("2d").ok().flatten()?.dyn_into::<CanvasRenderingContext2d>().ok()?;
        context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0).ok()?;
        context.clear_rect(0.0, 0.0, width, height);
        Some(Surface { context, width, height })
    }

    pub fn lines(&self, batch: &Batch) {
        let dashes: js_sys::Array = batch
            .dashes
            .iter()
            .map(|dash| {
                JsValue::from(
                    dash.iter().map(|length| JsValue::from_f64(f64::from(*length))).collect::<js_sys::Array>(),
                )
            })
            .collect();
        polylines(&self.context, &batch.numbers, &batch.ends, &batch.colors(), &batch.widths, &dashes);
    }

    /// `top` and `bottom` are where a fading area begins and ends to fade.
    pub fn areas(&self, batch: &Batch, top: f32, bottom: f32) {
        let fades: js_sys::Array = batch.fades.iter().map(|color| JsValue::from_str(color)).collect();
        polygons(&self.context, &batch.numbers, &batch.ends, &batch.colors(), &fades, top, bottom);
    }

    pub fn points(&self, batch: &Batch, radius: f32) {
        points(&self.context, &batch.numbers, &batch.ends, &batch.colors(), radius);
    }

    /// `x, y, w, h` per cell and the index of its colour.
    pub fn cells(&self, rectangles: &[f32], indices: &[u32], colors: &[String]) {
        let colors: js_sys::Array = colors.iter().map(|color| JsValue::from_str(color)).collect();
        cells(&self.context, rectangles, indices, &colors);
    }

    /// Draws only inside of a rectangle until [`Surface::unclip`].
    pub fn clip(&self, x: f64, y: f64, width: f64, height: f64) {
        self.context.save();
        self.context.begin_path();
        self.context.rect(x, y, width, height);
        self.context.clip();
    }

    pub fn unclip(&self) {
        self.context.restore();
    }

    /// A filled rectangle.
    pub fn fill(&self, x: f64, y: f64, width: f64, height: f64, color: &str) {
        self.context.set_fill_style_str(color);
        self.context.fill_rect(x, y, width, height);
    }

    /// A vertical line of short dashes.
    pub fn crosshair(&self, x: f64, top: f64, bottom: f64, color: &str) {
        self.context.set_stroke_style_str(color);
        self.context.set_line_width(1.0);
        let dash = js_sys::Array::of2(&JsValue::from_f64(3.0), &JsValue::from_f64(3.0));
        let _ = self.context.set_line_dash(&dash);
        self.context.begin_path();
        self.context.move_to(x.round() + 0.5, top);
        self.context.line_to(x.round() + 0.5, bottom);
        self.context.stroke();
        let _ = self.context.set_line_dash(&js_sys::Array::new());
    }

    /// A disc with a ring of the ground around it.
    pub fn ringed_point(&self, x: f64, y: f64, color: &str, ring: &str) {
        for (radius, fill) in [(5.0, ring), (3.5, color)] {
            self.context.begin_path();
            let _ = self.context.arc(x, y, radius, 0.0, std::f64::consts::TAU);
            self.context.set_fill_style_str(fill);
            self.context.fill();
        }
    }

    /// Text at the origin, in a font and a colour, aligned as the canvas names it: horizontally, vertically.
    fn text(&self, text: &str, (font, color): (&str, &str), (align, baseline): (&str, &str)) {
        self.context.set_font(font);
        self.context.set_fill_style_str(color);
        self.context.set_text_align(align);
        self.context.set_text_baseline(baseline);
        let _ = self.context.fill_text(text, 0.0, 0.0);
    }

    /// Draws a time series chart: the frame by plotters, the series in a few calls.
    pub fn draw(&self, scene: &Scene<'_>) -> Option<Plot> {
        let plot = chart::draw_frame(&mut self.backend(), scene).ok()?;
        let rect = plot.rect;
        self.clip(f64::from(rect.x), f64::from(rect.y) - 2.0, f64::from(rect.w), f64::from(rect.h) + 4.0);
        paint(self, &chart::geometry(scene, &plot), &plot);
        self.unclip();
        Some(plot)
    }

    /// A plotters backend that draws here.
    pub fn backend(&self) -> CanvasBackend<'_> {
        CanvasBackend { surface: self }
    }
}

fn css_or_none(color: Option<Rgba>) -> String {
    color.map_or_else(|| "transparent".to_owned(), Rgba::css)
}

/// Areas, lines, points: three calls, however many series there are.
fn paint(surface: &Surface, geometry: &Geometry, plot: &Plot) {
    let mut areas = Batch::default();
    for fill in &geometry.fills {
        areas.push_area(separated(fill), &css_or_none(fill.color), &fill.fade_to.map_or_else(String::new, Rgba::css));
    }
    surface.areas(&areas, plot.rect.y, plot.rect.bottom());
    let mut lines = Batch::default();
    for stroke in &geometry.strokes {
        lines.push(stroke.xy.iter().copied(), &css_or_none(stroke.color), stroke.width, &stroke.dash);
    }
    surface.lines(&lines);
    let mut points = Batch::default();
    let mut radius = 2.5;
    for dots in &geometry.dots {
        points.push(dots.xy.iter().copied(), &css_or_none(dots.color), 0.0, &[]);
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

/// The font of charts, as the canvas wants it named.
pub const CHART_FONT: &str = "Inter, system-ui, -apple-system, \"Segoe UI\", Roboto, \"Noto Sans\", Arial, sans-serif";

thread_local! {
    /// Widths of texts measured before, by font and text: axis labels repeat at every drawing.
    static WIDTHS: RefCell<HashMap<(String, String), f64>> = RefCell::new(HashMap::new());
}
/// The cache starts over when it gets larger than any dashboard needs.
const WIDTHS_MAX: usize = 5_000;

/// Width of a text in CSS pixels.
pub fn text_width(context: &CanvasRenderingContext2d, font: &str, text: &str) -> f64 {
    WIDTHS.with_borrow_mut(|widths| {
        if widths.len() > WIDTHS_MAX {
            widths.clear();
        }
        *widths.entry((font.to_owned(), text.to_owned())).or_insert_with(|| {
            context.set_font(font);
            context.measure_text(text).map_or(text.len() as f64 * 6.0, |measure| measure.width())
        })
    })
}

/// Plotters on a [`Surface`]. Thin lines lie on half pixels, so that they stay sharp.
#[derive(Debug)]
pub struct CanvasBackend<'a> {
    surface: &'a Surface,
}

fn css(color: BackendColor) -> String {
    let (r, g, b) = color.rgb;
    format!("rgba({r},{g},{b},{})", color.alpha)
}

fn font_of<S: BackendTextStyle>(style: &S) -> String {
    let weight = match style.style() {
        FontStyle::Bold => "600 ",
        FontStyle::Italic | FontStyle::Oblique => "italic ",
        FontStyle::Normal => "",
    };
    format!("{weight}{}px {CHART_FONT}", style.size())
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl CanvasBackend<'_> {
    fn stroke<S: BackendStyle>(&self, style: &S) -> f64 {
        let width = style.stroke_width().max(1);
        self.surface.context.set_line_width(f64::from(width));
        self.surface.context.set_stroke_style_str(&css(style.color()));
        if width % 2 == 1 { 0.5 } else { 0.0 }
    }

    fn trace(&self, path: impl IntoIterator<Item = BackendCoord>, offset: f64) {
        self.surface.context.begin_path();
        for (i, (x, y)) in path.into_iter().enumerate() {
            let (x, y) = (f64::from(x) + offset, f64::from(y) + offset);
            if i == 0 { self.surface.context.move_to(x, y) } else { self.surface.context.line_to(x, y) }
        }
    }
}

impl DrawingBackend for CanvasBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.surface.width as u32, self.surface.height as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.surface.fill(f64::from(x), f64::from(y), 1.0, 1.0, &css(color));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        if style.color().alpha > 0.0 {
            let offset = self.stroke(style);
            self.trace([from, to], offset);
            self.surface.context.stroke();
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        if style.color().alpha > 0.0 {
            let (x, y) = (f64::from(from.0), f64::from(from.1));
            let (width, height) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
            if fill {
                self.surface.fill(x, y, width, height, &css(style.color()));
            } else {
                let offset = self.stroke(style);
                self.surface.context.stroke_rect(x + offset, y + offset, width, height);
            }
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        if style.color().alpha > 0.0 {
            let offset = self.stroke(style);
            self.trace(path, offset);
            self.surface.context.stroke();
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        if style.color().alpha > 0.0 {
            let context = &self.surface.context;
            context.begin_path();
            let _ =
                context.arc(f64::from(center.0), f64::from(center.1), f64::from(radius), 0.0, std::f64::consts::TAU);
            if fill {
                context.set_fill_style_str(&css(style.color()));
                context.fill();
            } else {
                self.stroke(style);
                context.stroke();
            }
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        if style.color().alpha > 0.0 {
            self.trace(path, 0.0);
            self.surface.context.close_path();
            self.surface.context.set_fill_style_str(&css(style.color()));
            self.surface.context.fill();
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        let context = &self.surface.context;
        let align = match style.anchor().h_pos {
            HPos::Left => "left",
            HPos::Center => "center",
            HPos::Right => "right",
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => "top",
            VPos::Center => "middle",
            VPos::Bottom => "bottom",
        };
        context.save();
        let _ = context.translate(f64::from(x), f64::from(y));
        let quarter_turns = match style.transform() {
            FontTransform::None => 0.0,
            FontTransform::Rotate90 => 1.0,
            FontTransform::Rotate180 => 2.0,
            FontTransform::Rotate270 => 3.0,
        };
        let _ = context.rotate(quarter_turns * std::f64::consts::FRAC_PI_2);
        self.surface.text(text, (&font_of(style), &css(style.color())), (align, baseline));
        context.restore();
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let width = text_width(&self.surface.context, &font_of(style), text);
        Ok((width.ceil() as u32, (style.size() * 1.2).round() as u32))
    }
}
