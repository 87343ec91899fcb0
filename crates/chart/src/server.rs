//! SVG and PNG on the server: the same scene, a font of our own, no system font is looked for.

use crate::{frame::draw, scene::Scene};
use ab_glyph::{Font, FontRef, ScaleFont, point};
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
    text_anchor::{HPos, VPos},
};
use std::{io::Write as _, sync::LazyLock};

/// DejaVu Sans, cut to Latin, Greek and the signs that charts need; see `fonts/LICENSE-DejaVu.txt`.
static FONT_BYTES: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(FONT_BYTES).expect("the embedded font is a font"));

/// Plotters measures some texts itself; it knows only registered fonts.
static REGISTERED: LazyLock<()> = LazyLock::new(|| {
    // It fails only for bytes that are no font, and these are.
    let _ = plotters::style::register_font("sans-serif", plotters::style::FontStyle::Normal, FONT_BYTES);
});

/// Why a picture could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError(pub String);

impl std::fmt::Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot draw the picture: {}", self.0)
    }
}

impl std::error::Error for RenderError {}

/// Sides of a picture, in px.
pub const SIDE_MIN: u32 = 16;
pub const SIDE_MAX: u32 = 8000;

fn size_of(scene: &Scene<'_>) -> Result<(u32, u32), RenderError> {
    let (width, height) = (scene.width.round() as u32, scene.height.round() as u32);
    let fits = |side: u32| (SIDE_MIN..=SIDE_MAX).contains(&side);
    if fits(width) && fits(height) {
        Ok((width, height))
    } else {
        Err(RenderError(format!("{width}×{height} px; each side must have {SIDE_MIN} to {SIDE_MAX}")))
    }
}

/// The scene as SVG text.
///
/// # Errors
/// The size is out of bounds.
pub fn svg(scene: &Scene<'_>) -> Result<String, RenderError> {
    LazyLock::force(&REGISTERED);
    let size = size_of(scene)?;
    let mut scene = scene.clone();
    // Plotters' SVG backend divides font sizes by 1.24.
    scene.text_factor = 1.24;
    let mut out = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut out, size);
        draw(&mut backend, &scene).map_err(|error| RenderError(error.to_string()))?;
        backend.present().map_err(|error| RenderError(error.to_string()))?;
    }
    Ok(out.replace(
        "font-family=\"sans-serif\"",
        "font-family=\"Inter var,Inter,system-ui,-apple-system,Segoe UI,Roboto,Noto Sans,Helvetica Neue,Arial,sans-serif\"",
    ))
}

/// The scene as RGB pixels, row by row, three bytes each; with width and height.
///
/// # Errors
/// The size is out of bounds.
pub fn rgb(scene: &Scene<'_>) -> Result<(Vec<u8>, u32, u32), RenderError> {
    LazyLock::force(&REGISTERED);
    let (width, height) = size_of(scene)?;
    let mut pixels = vec![0_u8; width as usize * height as usize * 3];
    {
        let mut backend = OwnText { inner: BitMapBackend::with_buffer(&mut pixels, (width, height)) };
        draw(&mut backend, scene).map_err(|error| RenderError(error.to_string()))?;
        backend.present().map_err(|error| RenderError(error.to_string()))?;
    }
    Ok((pixels, width, height))
}

/// The scene as a PNG file. It may take some ms: call it where blocking is allowed.
///
/// # Errors
/// The size is out of bounds.
pub fn png(scene: &Scene<'_>) -> Result<Vec<u8>, RenderError> {
    let (pixels, width, height) = rgb(scene)?;
    Ok(encode_png(&pixels, width, height))
}

/// A picture that says what went wrong, for where an image is expected.
pub fn error_svg(width: u32, height: u32, message: &str) -> String {
    let escaped = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\"><rect width=\"100%\" height=\"100%\" \
         fill=\"#14181F\"/><text x=\"50%\" y=\"50%\" fill=\"#FF7A70\" font-family=\"sans-serif\" font-size=\"14\" \
         text-anchor=\"middle\">{escaped}</text></svg>"
    )
}

/// A bitmap whose text is set by `ab_glyph` itself: plotters 0.3.7 drops each glyph's left bearing, which spaces
/// figures unevenly.
struct OwnText<'a> {
    inner: BitMapBackend<'a>,
}

type BitMapError<'a> = <BitMapBackend<'a> as DrawingBackend>::ErrorType;
type Outcome<'a> = Result<(), DrawingErrorKind<BitMapError<'a>>>;

/// CSS px per em to ab_glyph's height scale.
fn glyph_scale(px: f32) -> f32 {
    px * FONT.height_unscaled() / FONT.units_per_em().unwrap_or(2048.0)
}

fn text_width(text: &str, px: f32) -> f32 {
    let font = FONT.as_scaled(glyph_scale(px));
    let (mut width, mut before) = (0.0, None);
    for c in text.chars() {
        let glyph = font.glyph_id(c);
        width += before.map_or(0.0, |before| font.kern(before, glyph)) + font.h_advance(glyph);
        before = Some(glyph);
    }
    width
}

impl<'a> DrawingBackend for OwnText<'a> {
    type ErrorType = BitMapError<'a>;

    fn get_size(&self) -> (u32, u32) {
        self.inner.get_size()
    }

    fn ensure_prepared(&mut self) -> Outcome<'a> {
        self.inner.ensure_prepared()
    }

    fn present(&mut self) -> Outcome<'a> {
        self.inner.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Outcome<'a> {
        self.inner.draw_pixel(at, color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Outcome<'a> {
        self.inner.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Outcome<'a> {
        self.inner.draw_rect(from, to, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome<'a> {
        self.inner.draw_path(path, style)
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Outcome<'a> {
        self.inner.draw_circle(center, radius, style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Outcome<'a> {
        self.inner.fill_polygon(path, style)
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<BitMapError<'a>>> {
        Ok((text_width(text, style.size() as f32).ceil() as u32, (style.size() * 1.2).round() as u32))
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Outcome<'a> {
        let px = style.size() as f32;
        let font = FONT.as_scaled(glyph_scale(px));
        let width = text_width(text, px);
        let start = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width / 2.0,
            HPos::Right => -width,
        };
        // By the height of capitals, so that "middle" centres figures.
        let base = match style.anchor().v_pos {
            VPos::Top => px * 0.93,
            VPos::Center => px * 0.73 / 2.0,
            VPos::Bottom => -px * 0.2,
        };
        let color = style.color();
        let (mut pen, mut before) = (start, None);
        for c in text.chars() {
            let glyph = font.glyph_id(c);
            pen += before.map_or(0.0, |before| font.kern(before, glyph));
            before = Some(glyph);
            // The pen's place between pixels goes into the outline, so that the spacing stays even.
            if let Some(outline) =
                font.outline_glyph(glyph.with_scale_and_position(font.scale(), point(pen, base.round())))
            {
                let bounds = outline.px_bounds();
                let mut pixels = Vec::new();
                outline.draw(|x, y, cover| {
                    if cover > 0.0 {
                        pixels.push((bounds.min.x as i32 + x as i32, bounds.min.y as i32 + y as i32, cover.min(1.0)));
                    }
                });
                for (x, y, cover) in pixels {
                    let (x, y) = match style.transform() {
                        FontTransform::None => (x, y),
                        FontTransform::Rotate90 => (-y, x),
                        FontTransform::Rotate180 => (-x, -y),
                        FontTransform::Rotate270 => (y, -x),
                    };
                    let shade = BackendColor { alpha: color.alpha * f64::from(cover), rgb: color.rgb };
                    self.inner.draw_pixel((at.0 + x, at.1 + y), shade)?;
                }
            }
            pen += font.h_advance(glyph);
        }
        Ok(())
    }
}

/// PNG, RGB, 8 bits, by the specification of 2003. Charts have large even areas, for which the "up" filter does well.
fn encode_png(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    const FILTER_UP: u8 = 2;
    let stride = width as usize * 3;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::with_capacity(pixels.len() / 16), flate2::Compression::fast());
    let mut before = vec![0_u8; stride];
    let mut line = Vec::with_capacity(stride + 1);
    for row in pixels.chunks_exact(stride) {
        line.clear();
        line.push(FILTER_UP);
        line.extend(row.iter().zip(&before).map(|(now, above)| now.wrapping_sub(*above)));
        // Writing into memory does not fail.
        let _ = zlib.write_all(&line);
        before.copy_from_slice(row);
    }
    let data = zlib.finish().unwrap_or_default();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], body: &[u8]| {
        out.extend((body.len() as u32).to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(body);
        out.extend(kind);
        out.extend(body);
        out.extend(crc.sum().to_be_bytes());
    };
    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // 8 bits, RGB, deflate, adaptive filters, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    chunk(b"IHDR", &header);
    chunk(b"IDAT", &data);
    chunk(b"IEND", &[]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashboard::{
        calendar::Calendar,
        field,
        frame::{self, QueryInfo, Series},
        model::FieldConfig,
    };
    use serde_json::json;

    pub(crate) fn scene(config: serde_json::Value) -> Scene<'static> {
        let now = 1_795_356_000_000;
        let series = |name: &str, base: f64| Series {
            labels: [("job".to_owned(), name.to_owned())].into(),
            points: (0..=360)
                .map(|i| (now - (360 - i) * 60_000, base + base * (i as f64 / 30.0).sin() * 0.4))
                .collect(),
        };
        let query = QueryInfo { legend_format: "{{job}}".into(), step_ms: 60_000, ..QueryInfo::default() };
        let mut frames = frame::from_matrix(&query, vec![series("api", 4e8), series("web", 2.5e8), series("db", 1e8)]);
        field::apply_config(&mut frames, &FieldConfig::read(&config));
        let mut scene = Scene::new(900.0, 300.0, now - 6 * 3_600_000, now, Calendar::utc());
        crate::build(&mut scene, &frames, &|_| true);
        scene
    }

    #[test]
    fn svg_has_axes_and_series() {
        let config = json!({"defaults": {"unit": "bytes", "custom": {"fillOpacity": 20, "stacking": {"mode": "normal"}, "thresholdsStyle": {"mode": "dashed"}},
            "thresholds": {"steps": [{"value": null, "color": "green"}, {"value": 9e8, "color": "red"}]}}});
        let text = svg(&scene(config)).unwrap();
        for expected in ["256 MiB", "1 GiB", "08:00", "14:00", "polyline", "polygon"] {
            assert!(text.contains(expected), "no `{expected}` in the picture");
        }
        let mut small = scene(json!({}));
        small.width = 4.0;
        assert!(svg(&small).unwrap_err().to_string().contains("4×300"));
    }

    #[test]
    fn png_is_one() {
        let bytes = png(&scene(json!({"defaults": {"unit": "bytes"}}))).unwrap();
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 2000, "{} bytes", bytes.len());
        if let Ok(path) = std::env::var("CHART_PICTURE") {
            std::fs::write(path, &bytes).unwrap();
        }
    }
}
