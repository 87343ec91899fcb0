//! Colours by name and by series, for both themes.
//! The palette is that of `style/tokens.css`; Grafana's names get the nearest hues that keep contrast on our grounds.

/// The ground a colour is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    #[default]
    Dark,
    Light,
}

/// A colour; `a` is 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rgba {
    pub r: u8,
    pub g: u8,
    pub b: u8,
    pub a: f32,
}

/// One step of the palette.
#[derive(Clone, Copy, Debug)]
pub struct PaletteColor {
    /// CSS custom property, `--c1`.
    pub token: &'static str,
    pub dark: Rgba,
    pub light: Rgba,
}

const fn hex(rgb: u32) -> Rgba {
    Rgba { r: (rgb >> 16) as u8, g: (rgb >> 8) as u8, b: rgb as u8, a: 1.0 }
}

const fn step(token: &'static str, dark: u32, light: u32) -> PaletteColor {
    PaletteColor { token, dark: hex(dark), light: hex(light) }
}

/// Categorical palette in the order of assignment.
pub const PALETTE: [PaletteColor; 12] = [
    step("--c1", 0x9A_B6_FF, 0x3D_78_E1),
    step("--c2", 0xD1_AA_18, 0xCA_85_00),
    step("--c3", 0x45_B5_93, 0x2A_84_7A),
    step("--c4", 0x92_81_FF, 0x5E_41_C3),
    step("--c5", 0xDC_61_49, 0xB6_5A_15),
    step("--c6", 0xC3_EC_7A, 0x7C_9C_62),
    step("--c7", 0xE0_80_B7, 0xA9_23_4E),
    step("--c8", 0x9A_EA_FF, 0x3E_9E_C0),
    step("--c9", 0x78_53_E5, 0x3A_1C_96),
    step("--c10", 0xE5_DE_BC, 0x58_48_19),
    step("--c11", 0x3F_8C_77, 0x05_54_40),
    step("--c12", 0xA1_5B_90, 0x6B_19_51),
];

/// The tokens a chart needs, as `style/tokens.css` has them.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    pub bg0: Rgba,
    pub bg1: Rgba,
    pub bg3: Rgba,
    pub grid: Rgba,
    pub line: Rgba,
    pub t1: Rgba,
    pub t2: Rgba,
    pub t3: Rgba,
    pub crit: Rgba,
    pub warn: Rgba,
    pub ok: Rgba,
    /// Areas and bars of states.
    pub up_fill: Rgba,
    pub crit_fill: Rgba,
    pub warn_fill: Rgba,
    pub event: Rgba,
    pub accent: Rgba,
    /// Sequential ramp from nothing to most.
    pub heat: [Rgba; 8],
}

const DARK: Tokens = Tokens {
    bg0: hex(0x0D_10_15),
    bg1: hex(0x14_18_1F),
    bg3: hex(0x24_2B_36),
    grid: hex(0x24_2C_37),
    line: hex(0x22_29_34),
    t1: hex(0xE9_ED_F3),
    t2: hex(0xAE_B8_C6),
    t3: hex(0x8A_95_A5),
    crit: hex(0xFF_7A_70),
    warn: hex(0xF5_B8_4A),
    ok: hex(0x5C_C9_9A),
    up_fill: hex(0x3C_7D_66),
    crit_fill: hex(0xF0_66_5C),
    warn_fill: hex(0xE5_A9_3A),
    event: hex(0x8A_95_A5),
    accent: hex(0x8D_B4_FF),
    heat: [
        hex(0x17_1D_27),
        hex(0x1B_2F_4D),
        hex(0x22_48_7A),
        hex(0x2F_6A_A6),
        hex(0x4A_93_C4),
        hex(0x7E_BF_D3),
        hex(0xC3_E4_DA),
        hex(0xFB_F6_D8),
    ],
};

const LIGHT: Tokens = Tokens {
    bg0: hex(0xF3_F5_F8),
    bg1: hex(0xFF_FF_FF),
    bg3: hex(0xE9_ED_F3),
    grid: hex(0xE7_EB_F0),
    line: hex(0xDF_E4_EB),
    t1: hex(0x13_18_20),
    t2: hex(0x45_4F_5D),
    t3: hex(0x62_6C_7A),
    crit: hex(0xC0_27_1F),
    warn: hex(0x8F_5A_00),
    ok: hex(0x0F_70_46),
    up_fill: hex(0x5C_9E_80),
    crit_fill: hex(0xD6_38_2F),
    warn_fill: hex(0xCA_85_00),
    event: hex(0x62_6C_7A),
    accent: hex(0x1B_57_C9),
    heat: [
        hex(0xF2_F5_F9),
        hex(0xDC_E9_F1),
        hex(0xB5_D5_E3),
        hex(0x82_B8_D3),
        hex(0x4E_93_C0),
        hex(0x2B_6C_A6),
        hex(0x1B_47_83),
        hex(0x0E_27_57),
    ],
};

impl Theme {
    pub fn tokens(self) -> &'static Tokens {
        match self {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }
}

impl PaletteColor {
    pub fn rgba(&self, theme: Theme) -> Rgba {
        match theme {
            Theme::Dark => self.dark,
            Theme::Light => self.light,
        }
    }
}

/// Colour and dash of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesColor {
    /// Index in [`PALETTE`].
    pub index: usize,
    /// 0 solid, 1 dashed 7 4, 2 dashed 2 3.
    pub dash: u8,
}

impl SeriesColor {
    pub fn rgba(self, theme: Theme) -> Rgba {
        PALETTE[self.index % PALETTE.len()].rgba(theme)
    }
}

/// Colours of the series of one panel, by name: a name keeps its colour on every panel unless an earlier series of
/// the panel has it already, then the next free one is taken. From the 9th series on lines are dashed too.
pub fn series_colors<S: AsRef<str>>(names: &[S]) -> Vec<SeriesColor> {
    let count = PALETTE.len();
    let mut used = vec![0_usize; count];
    names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let start = hash(name.as_ref()) as usize % count;
            let fewest = used.iter().min().copied().unwrap_or(0);
            let index = (0..count).map(|step| (start + step) % count).find(|at| used[*at] == fewest).unwrap_or(start);
            used[index] += 1;
            SeriesColor { index, dash: if i < 8 { 0 } else { ((i - 8) / 12 % 2 + 1) as u8 } }
        })
        .collect()
}

/// FNV-1a, for it is the same on every machine and in every release.
fn hash(name: &str) -> u64 {
    let mut hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // The low bits of FNV alone cluster for short names.
    hash ^= hash >> 32;
    hash
}

/// Resolves a colour as dashboards write it: `#rgb`, `#rrggbb`, `#rrggbbaa`, `rgb()`, `rgba()`, `transparent`, `text`,
/// `c1`…`c12`, and Grafana's names `green`, `dark-…`, `semi-dark-…`, `light-…`, `super-light-…`.
pub fn resolve(name: &str, theme: Theme) -> Option<Rgba> {
    let name = name.trim();
    if let Some(digits) = name.strip_prefix('#') {
        return parse_hex(digits);
    }
    if let Some(body) = name.strip_prefix("rgba(").or_else(|| name.strip_prefix("rgb(")) {
        let mut parts = body.trim_end_matches(')').split([',', ' ', '/']).filter(|part| !part.is_empty());
        let mut channel = || parts.next()?.trim().parse::<f32>().ok().map(|value| value.clamp(0.0, 255.0) as u8);
        let (r, g, b) = (channel()?, channel()?, channel()?);
        let a = parts.next().and_then(|part| part.parse::<f32>().ok()).map_or(1.0, |a| a.clamp(0.0, 1.0));
        return Some(Rgba { r, g, b, a });
    }
    let tokens = theme.tokens();
    if let Some(index) = name.strip_prefix('c').and_then(|digits| digits.parse::<usize>().ok()) {
        return PALETTE.get(index.checked_sub(1)?).map(|color| color.rgba(theme));
    }
    Some(match name {
        "transparent" => Rgba { r: 0, g: 0, b: 0, a: 0.0 },
        "text" => tokens.t1,
        "panel-bg" => tokens.bg1,
        "black" => hex(0),
        "white" => hex(0xFF_FF_FF),
        "gray" | "grey" => tokens.t3,
        _ => {
            // Shades run from dark over the plain name to very light.
            let (shade, hue) = if let Some(hue) = name.strip_prefix("super-light-") {
                (4, hue)
            } else if let Some(hue) = name.strip_prefix("semi-dark-") {
                (1, hue)
            } else if let Some(hue) = name.strip_prefix("light-") {
                (3, hue)
            } else if let Some(hue) = name.strip_prefix("dark-") {
                (0, hue)
            } else {
                (2, name)
            };
            let base = match (hue, theme) {
                ("red", Theme::Dark) => hex(0xF0_66_5C),
                ("red", Theme::Light) => hex(0xD6_38_2F),
                ("orange", Theme::Dark) => hex(0xF0_94_3C),
                ("orange", Theme::Light) => hex(0xC8_66_0A),
                ("yellow", Theme::Dark) => hex(0xE8_C5_3A),
                ("yellow", Theme::Light) => hex(0xA8_86_00),
                ("green", Theme::Dark) => hex(0x56_B6_84),
                ("green", Theme::Light) => hex(0x2F_8F_5F),
                ("blue", Theme::Dark) => hex(0x6F_9C_F5),
                ("blue", Theme::Light) => hex(0x2F_6B_D0),
                ("purple", Theme::Dark) => hex(0xA9_7E_EA),
                ("purple", Theme::Light) => hex(0x75_46_C2),
                _ => return None,
            };
            match shade {
                0 => mix(base, hex(0), 0.38),
                1 => mix(base, hex(0), 0.19),
                3 => mix(base, hex(0xFF_FF_FF), 0.3),
                4 => mix(base, hex(0xFF_FF_FF), 0.6),
                _ => base,
            }
        }
    })
}

fn parse_hex(digits: &str) -> Option<Rgba> {
    if !digits.is_ascii() {
        return None;
    }
    let channel = |from: usize| u8::from_str_radix(digits.get(from..from + 2)?, 16).ok();
    let short = |at: usize| u8::from_str_radix(digits.get(at..=at)?, 16).ok().map(|nibble| nibble * 17);
    match digits.len() {
        3 | 4 => {
            let a = if digits.len() == 4 { f32::from(short(3)?) / 255.0 } else { 1.0 };
            Some(Rgba { r: short(0)?, g: short(1)?, b: short(2)?, a })
        }
        6 | 8 => {
            let a = if digits.len() == 8 { f32::from(channel(6)?) / 255.0 } else { 1.0 };
            Some(Rgba { r: channel(0)?, g: channel(2)?, b: channel(4)?, a })
        }
        _ => None,
    }
}

/// `share` of `other` in `base`, 0 to 1.
pub fn mix(base: Rgba, other: Rgba, share: f32) -> Rgba {
    let channel = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round().clamp(0.0, 255.0) as u8;
    Rgba { r: channel(base.r, other.r), g: channel(base.g, other.g), b: channel(base.b, other.b), a: base.a }
}

/// Colour at `share` (0 to 1) of a colour mode `continuous-…` or a heatmap scheme; our heat ramp for an unknown name.
pub fn ramp(name: &str, share: f64, theme: Theme) -> Rgba {
    let tokens = theme.tokens();
    let named = |word: &str| resolve(word, theme).unwrap_or(tokens.t1);
    let quiet = tokens.heat[0];
    let key = name.trim_start_matches("continuous-").to_ascii_lowercase();
    let stops: Vec<Rgba> = match key.as_str() {
        "gryird" | "gryyrd" | "grylrd" => vec![named("green"), named("yellow"), named("red")],
        "rdylgr" => vec![named("red"), named("yellow"), named("green")],
        "blylrd" => vec![named("blue"), named("yellow"), named("red")],
        "ylrd" => vec![named("yellow"), named("red")],
        "blpu" => vec![named("blue"), named("purple")],
        "ylbl" => vec![named("yellow"), named("blue")],
        "reds" => vec![quiet, named("red")],
        "greens" => vec![quiet, named("green")],
        "purples" => vec![quiet, named("purple")],
        "viridis" => [0x44_01_54, 0x3B_52_8B, 0x21_91_8C, 0x5E_C9_62, 0xFD_E7_25].map(hex).to_vec(),
        "magma" => [0x00_00_04, 0x51_12_7C, 0xB7_37_79, 0xFC_89_61, 0xFC_FD_BF].map(hex).to_vec(),
        "plasma" => [0x0D_08_87, 0x7E_03_A8, 0xCC_47_78, 0xF8_95_40, 0xF0_F9_21].map(hex).to_vec(),
        "inferno" => [0x00_00_04, 0x57_10_6E, 0xBC_37_54, 0xF9_8E_09, 0xFC_FF_A4].map(hex).to_vec(),
        "cividis" => [0x00_22_4E, 0x43_4E_6C, 0x7D_7C_78, 0xBC_AF_6F, 0xFE_E8_38].map(hex).to_vec(),
        _ => tokens.heat.to_vec(),
    };
    let at = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 } * (stops.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(stops.len() - 1);
    mix(stops[low], stops[high], (at - at.floor()) as f32)
}

impl Rgba {
    /// `#rrggbb`, or `rgba(…)` if it lets through.
    pub fn css(self) -> String {
        if self.a >= 1.0 {
            format!("#{:02x}{:02x}{:02x}", self.r, self.g, self.b)
        } else {
            format!("rgba({},{},{},{})", self.r, self.g, self.b, (self.a * 1000.0).round() / 1000.0)
        }
    }

    pub fn with_alpha(self, a: f32) -> Self {
        Rgba { a: a.clamp(0.0, 1.0), ..self }
    }

    /// Black or white text on it, by WCAG's relative luminance.
    pub fn text_on(self) -> Rgba {
        let linear = |channel: u8| {
            let share = f32::from(channel) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let luminance = 0.2126 * linear(self.r) + 0.7152 * linear(self.g) + 0.0722 * linear(self.b);
        if luminance > 0.179 { hex(0x0D_10_15) } else { hex(0xFF_FF_FF) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("#abc", "#aabbcc"),
            ("#A1b2c3", "#a1b2c3"),
            ("rgba(1, 2,3, 0.5)", "rgba(1,2,3,0.5)"),
            ("transparent", "rgba(0,0,0,0)"),
            ("text", "#e9edf3"),
            ("c2", "#d1aa18"),
            ("red", "#f0665c"),
            ("semi-dark-red", "#c2534b"),
        ] {
            assert_eq!(resolve(name, Theme::Dark).map(Rgba::css).as_deref(), Some(expected), "{name}");
        }
        for bad in ["", "#12", "#é12345", "rgb(1)", "c0", "c13", "dark-mauve"] {
            assert_eq!(resolve(bad, Theme::Light), None, "{bad}");
        }
    }

    #[test]
    fn a_name_keeps_its_color_and_collisions_step_on() {
        let alone = series_colors(&["p99"])[0].index;
        assert_eq!(series_colors(&["p99", "p50", "p90"])[0].index, alone);
        let names: Vec<String> = (0..30).map(|i| format!("series {i}")).collect();
        let colors = series_colors(&names);
        let mut first: Vec<usize> = colors[..12].iter().map(|color| color.index).collect();
        first.sort_unstable();
        assert_eq!(first, (0..12).collect::<Vec<_>>(), "twelve series, twelve colours");
        assert_eq!([colors[7].dash, colors[8].dash, colors[20].dash], [0, 1, 2]);
        assert!(colors[..12].iter().zip(&colors[12..24]).all(|(a, b)| a.index != b.index || a.dash != b.dash));
    }
}
