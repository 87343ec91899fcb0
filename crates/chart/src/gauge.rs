//! Gauges: arcs as polygons.

use dashboard::colors::Rgba;

/// A part of a ring; angles in radians, 0 at twelve o'clock, clockwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arc {
    pub from: f32,
    pub to: f32,
    pub inner: f32,
    pub outer: f32,
    pub color: Rgba,
}

/// Arcs of a gauge within a box: the track, the value, and a thin ring of the thresholds. `share` is the place of the
/// value between the bounds; `steps` are thresholds as (share where it begins, colour); a full circle if `circle`.
/// Answers the centre and the arcs in order of drawing.
pub fn gauge_arcs(
    width: f32,
    height: f32,
    circle: bool,
    share: Option<f64>,
    color: Rgba,
    track: Rgba,
    steps: &[(f64, Rgba)],
) -> ((f32, f32), Vec<Arc>) {
    let half = if circle { std::f32::consts::PI } else { std::f32::consts::PI * 0.62 };
    // An open gauge is less high than wide: its ends lie above the lower edge of the circle.
    let below = if circle { 1.0 } else { -half.cos() };
    let radius = (width / 2.0).min(height / (1.0 + below)) * 0.96;
    let centre = (width / 2.0, (height - radius * (1.0 + below)) / 2.0 + radius);
    let at = |share: f64| -half + 2.0 * half * share.clamp(0.0, 1.0) as f32;
    let outer = if steps.is_empty() { radius } else { radius * 0.91 };
    let inner = outer * 0.74;
    let mut arcs = vec![Arc { from: -half, to: half, inner, outer, color: track }];
    if let Some(share) = share {
        arcs.push(Arc { from: -half, to: at(share), inner, outer, color });
    }
    for (index, (start, color)) in steps.iter().enumerate() {
        let end = steps.get(index + 1).map_or(1.0, |(next, _)| *next);
        if end > *start {
            arcs.push(Arc { from: at(*start), to: at(end), inner: radius * 0.95, outer: radius, color: *color });
        }
    }
    (centre, arcs)
}

/// The outline of an arc as a polygon, x and y alternating.
pub fn arc_polygon(centre: (f32, f32), arc: &Arc) -> Vec<f32> {
    let pieces = ((arc.to - arc.from).abs() * 24.0).clamp(2.0, 160.0) as usize;
    let point = |angle: f32, radius: f32| [centre.0 + angle.sin() * radius, centre.1 - angle.cos() * radius];
    let angle = |piece: usize| arc.from + (arc.to - arc.from) * piece as f32 / pieces as f32;
    let outer = (0..=pieces).flat_map(|piece| point(angle(piece), arc.outer));
    let inner = (0..=pieces).rev().flat_map(|piece| point(angle(piece), arc.inner));
    outer.chain(inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arcs_stay_in_the_box() {
        let color = dashboard::colors::PALETTE[0].dark;
        for (w, h, circle) in [(200.0, 100.0, false), (80.0, 300.0, true), (10.0, 10.0, false)] {
            let (centre, arcs) = gauge_arcs(w, h, circle, Some(0.5), color, color, &[(0.0, color), (0.8, color)]);
            assert_eq!(arcs.len(), 4);
            assert!(arcs[1].to.abs() < 1e-6, "half way is twelve o'clock");
            for xy in arcs.iter().map(|arc| arc_polygon(centre, arc)) {
                assert!(
                    xy.chunks_exact(2).all(|p| (-0.1..=w + 0.1).contains(&p[0]) && (-0.1..=h + 0.1).contains(&p[1]))
                );
            }
        }
    }
}
