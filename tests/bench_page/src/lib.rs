//! Our side of the chart benchmark: frames as a query answers them, drawn by the code that draws the time series
//! panel. The page (`page/bench.js`) draws the same numbers with uPlot in between.

#[path = "../../../app/src/canvas.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the app, whose panels use more of it")]
mod canvas;

use canvas::Surface;
use chart::Scene;
use dashboard::{
    calendar::Calendar,
    frame::{Field, Frame, Values},
};
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;

/// Time of the first point, in Unix ms.
const START_MS: i64 = 1_795_356_000_000;
/// Distance of the points, in ms.
const STEP_MS: i64 = 15_000;

/// Several data sets of one size: every drawing takes the next, so that nothing can be kept from the one before.
#[wasm_bindgen]
pub struct Bench {
    canvas: HtmlCanvasElement,
    sets: Vec<Vec<Frame>>,
    points: usize,
}

#[wasm_bindgen]
impl Bench {
    /// Makes `sets` data sets of `series` × `points`: random walks that begin anew in every set.
    #[wasm_bindgen(constructor)]
    pub fn new(canvas: HtmlCanvasElement, series: usize, points: usize, sets: usize) -> Bench {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let times: Vec<i64> = (0..points as i64).map(|at| START_MS + at * STEP_MS).collect();
        let sets = (0..sets)
            .map(|_| (0..series).map(|at| frame(&format!("series {at}"), &times, &mut random)).collect())
            .collect();
        Bench { canvas, sets, points }
    }

    /// Draws a data set as the time series panel does after an answer; false if there was nothing to draw on.
    pub fn draw(&self, set: usize) -> bool {
        let (Some(surface), Some(frames)) = (Surface::prepare(&self.canvas), self.sets.get(set)) else { return false };
        let end_ms = START_MS + (self.points as i64 - 1) * STEP_MS;
        let mut scene = Scene::new(surface.width as f32, surface.height as f32, START_MS, end_ms, Calendar::utc());
        chart::build(&mut scene, frames, &|_| true);
        surface.draw(&scene).is_some()
    }

    /// Times of all series, in seconds.
    pub fn times(&self) -> Vec<f64> {
        (0..self.points as i64).map(|at| (START_MS + at * STEP_MS) as f64 / 1000.0).collect()
    }

    /// Values of one series.
    pub fn values(&self, set: usize, series: usize) -> Vec<f64> {
        let frame = self.sets.get(set).and_then(|frames| frames.get(series));
        frame.and_then(|frame| frame.fields.get(1)?.numbers()).unwrap_or_default().to_vec()
    }

    /// Colours of all series, as CSS.
    pub fn colors(&self) -> Vec<String> {
        let mut scene = Scene::new(1.0, 1.0, 0, 1, Calendar::utc());
        chart::build(&mut scene, self.sets.first().map_or(&[], Vec::as_slice), &|_| true);
        scene.series.iter().map(|series| series.color.css()).collect()
    }
}

fn frame(name: &str, times: &[i64], random: &mut Random) -> Frame {
    let mut value = 20.0 + 60.0 * random.next();
    let values = times
        .iter()
        .map(|_| {
            // Drawn back to the middle, so that long walks stay as large as short ones.
            value += 4.0 * (random.next() - 0.5) + (50.0 - value) * 0.002;
            value
        })
        .collect();
    let mut field = Field::new("Value", Values::Number(values));
    field.display_name = name.to_owned();
    Frame {
        name: name.to_owned(),
        ref_id: "A".to_owned(),
        fields: vec![Field::new("Time", Values::Time(times.to_vec())), field],
    }
}

/// Xorshift: the same data at every run.
struct Random(u64);

impl Random {
    /// Between 0 and 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
