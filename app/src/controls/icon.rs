//! The drawings of the interface: line icons on a 24 × 24 grid, and the state glyphs on 16 × 16, whose shapes differ so
//! that state is never colour alone.

use leptos::prelude::*;

/// A line icon. It says nothing to a screen reader: the control around it carries the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Home,
    Dashboards,
    Explore,
    Bell,
    BellOff,
    Probes,
    Targets,
    Federation,
    Settings,
    Rules,
    Server,
    Search,
    ZoomOut,
    Clock,
    Left,
    Right,
    Down,
    Up,
    Refresh,
    Edit,
    More,
    Menu,
    Plus,
    Close,
    Check,
    Copy,
    Link,
    Book,
    Undo,
    Redo,
    Eye,
    Trash,
    Download,
    Upload,
    Star,
    StarFilled,
    Graph,
    Number,
    Gauge,
    Bars,
    Table,
    Heatmap,
    Text,
    History,
    Save,
    Row,
    Info,
    Expand,
    Sun,
    Moon,
}

impl Icon {
    pub fn drawing(self) -> &'static str {
        match self {
            Icon::Home => r#"<path d="M4 11.2 12 4.5l8 6.7M6.2 9.8V19.5h11.6V9.8"/>"#,
            Icon::Dashboards => {
                r#"<rect x="4" y="4.5" width="7" height="9" rx="1.4"/><rect x="13.5" y="4.5" width="6.5" height="5" rx="1.4"/><rect x="4" y="16" width="7" height="3.8" rx="1.4"/><rect x="13.5" y="12" width="6.5" height="7.8" rx="1.4"/>"#
            }
            Icon::Explore => r#"<circle cx="12" cy="12" r="8"/><path d="m15.4 8.6-2 4.8-4.8 2 2-4.8z"/>"#,
            Icon::Bell => r#"<path d="M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.8H5zM10 20.5h4"/>"#,
            Icon::BellOff => {
                r#"<path d="M8.2 7A5.5 5.5 0 0 1 17.5 11v4M6.6 10.4V16.5L5 18.3h12.2M10 20.8h4M4 4l16 16"/>"#
            }
            Icon::Probes => {
                r#"<circle cx="12" cy="13" r="1.6"/><path d="M8.6 16.4a4.8 4.8 0 0 1 0-6.8M15.4 9.6a4.8 4.8 0 0 1 0 6.8M5.6 19.2a9 9 0 0 1 0-12.4M18.4 6.8a9 9 0 0 1 0 12.4"/>"#
            }
            Icon::Targets => {
                r#"<circle cx="12" cy="12" r="7.6"/><circle cx="12" cy="12" r="3.1"/><path d="M12 2.6v3M12 18.4v3M2.6 12h3M18.4 12h3"/>"#
            }
            Icon::Federation => {
                r#"<circle cx="12" cy="5.6" r="2.3"/><circle cx="5.6" cy="18" r="2.3"/><circle cx="18.4" cy="18" r="2.3"/><path d="M11 7.7 6.7 15.9M13 7.7l4.3 8.2"/>"#
            }
            Icon::Settings => {
                r#"<circle cx="12" cy="12" r="2.9"/><path d="M12 3.4v2.7M12 17.9v2.7M3.4 12h2.7M17.9 12h2.7M5.9 5.9l1.9 1.9M16.2 16.2l1.9 1.9M18.1 5.9l-1.9 1.9M7.8 16.2l-1.9 1.9"/>"#
            }
            Icon::Rules => {
                r#"<path d="M9 6.5h11M9 12h11M9 17.5h11M4 6.2l1 1 1.6-2M4 11.7l1 1 1.6-2M4 17.2l1 1 1.6-2"/>"#
            }
            Icon::Server => {
                r#"<rect x="4" y="4.5" width="16" height="6.4" rx="1.6"/><rect x="4" y="13.1" width="16" height="6.4" rx="1.6"/><path d="M7.5 7.7h.01M7.5 16.3h.01M11 7.7h5.5M11 16.3h5.5"/>"#
            }
            Icon::Search => r#"<circle cx="10.8" cy="10.8" r="6"/><path d="m15.4 15.4 4.4 4.4"/>"#,
            Icon::ZoomOut => r#"<circle cx="10.8" cy="10.8" r="6"/><path d="m15.4 15.4 4.4 4.4M8.3 10.8h5"/>"#,
            Icon::Clock => r#"<circle cx="12" cy="12" r="8"/><path d="M12 7.5V12l3 2"/>"#,
            Icon::Left => r#"<path d="m14 7-5 5 5 5"/>"#,
            Icon::Right => r#"<path d="m10 7 5 5-5 5"/>"#,
            Icon::Down => r#"<path d="m7 10 5 5 5-5"/>"#,
            Icon::Up => r#"<path d="m7 14 5-5 5 5"/>"#,
            Icon::Refresh => {
                r#"<path d="M19 12a7 7 0 0 1-12.2 4.7M5 12a7 7 0 0 1 12.2-4.7M17.6 3.6v4h-4M6.4 20.4v-4h4"/>"#
            }
            Icon::Edit => r#"<path d="m5 19 .9-3.9L15.7 5.3a1.6 1.6 0 0 1 2.2 0l.8.8a1.6 1.6 0 0 1 0 2.2L8.9 18.1z"/>"#,
            Icon::More => r#"<path d="M12 6h.01M12 12h.01M12 18h.01" stroke-width="2.6"/>"#,
            Icon::Menu => r#"<path d="M4.5 7h15M4.5 12h15M4.5 17h15"/>"#,
            Icon::Plus => r#"<path d="M12 5.5v13M5.5 12h13"/>"#,
            Icon::Close => r#"<path d="m7 7 10 10M17 7 7 17"/>"#,
            Icon::Check => r#"<path d="m5.5 12.5 4.2 4.2 8.8-9.4"/>"#,
            Icon::Copy => {
                r#"<rect x="8.5" y="8.5" width="11" height="11" rx="2"/><path d="M15.5 8.5v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2"/>"#
            }
            Icon::Link => r#"<path d="M8 16 16.5 7.5M9.5 7.5h7v7"/>"#,
            Icon::Book => {
                r#"<path d="M5 5.5c2.6-.9 5-.6 7 1 2-1.6 4.4-1.9 7-1v13c-2.6-.9-5-.6-7 1-2-1.6-4.4-1.9-7-1zM12 6.5v13"/>"#
            }
            Icon::Undo => r#"<path d="M8.5 6.5 4.8 10l3.7 3.5M5 10h8.6a5 5 0 0 1 0 10H10"/>"#,
            Icon::Redo => r#"<path d="M15.5 6.5 19.2 10l-3.7 3.5M19 10h-8.6a5 5 0 0 0 0 10H14"/>"#,
            Icon::Eye => r#"<path d="M3 12s3.4-6 9-6 9 6 9 6-3.4 6-9 6-9-6-9-6z"/><circle cx="12" cy="12" r="2.4"/>"#,
            Icon::Trash => r#"<path d="M5 7h14M9.5 7V4.8h5V7M7 7l.8 12.2h8.4L17 7M10.2 10.5v5.5M13.8 10.5v5.5"/>"#,
            Icon::Download => r#"<path d="M12 4v10.5M8 11l4 3.6 4-3.6M5.5 19.5h13"/>"#,
            Icon::Upload => r#"<path d="M12 15V4.5M8 8l4-3.6L16 8M5.5 19.5h13"/>"#,
            Icon::Star | Icon::StarFilled => {
                r#"<path d="m12 4 2.5 5.2 5.7.8-4.1 4 1 5.7-5.1-2.7-5.1 2.7 1-5.7-4.1-4 5.7-.8z"/>"#
            }
            Icon::Graph => r#"<path d="M4 17.5 9 11l4 3.5 7-8"/>"#,
            Icon::Number => {
                r#"<path d="M5 16V8l-2 1.4M9 16h5M9.2 10.2A2.4 2.4 0 1 1 13.5 12L9 16M17 8h4l-2.3 3.2A2.6 2.6 0 1 1 16.6 15"/>"#
            }
            Icon::Gauge => r#"<path d="M4.5 17a8.3 8.3 0 1 1 15 0M12 14l3.5-4.5"/>"#,
            Icon::Bars => r#"<path d="M4 7h13M4 12h16M4 17h8" stroke-width="2.6"/>"#,
            Icon::Table => r#"<rect x="4" y="5" width="16" height="14" rx="2"/><path d="M4 10h16M10 10v9"/>"#,
            Icon::Heatmap => {
                r#"<path d="M4.5 4.5h4.2v4.2H4.5zM10 4.5h4.2v4.2H10zM15.4 10h4.2v4.2h-4.2zM10 10h4.2v4.2H10zM4.5 15.4h4.2v4.2H4.5zM10 15.4h4.2v4.2H10z"/>"#
            }
            Icon::Text => r#"<path d="M5 6.5h14M5 11h14M5 15.5h9"/>"#,
            Icon::History => r#"<path d="M4.5 12a7.5 7.5 0 1 0 2.4-5.5M4.6 4.6v3.6h3.6M12 8v4.2l2.8 1.6"/>"#,
            Icon::Save => r#"<path d="M5 5h11l3 3v11H5zM8.5 5v4.5h6V5M8.5 19v-5h7v5"/>"#,
            Icon::Row => r#"<path d="M4 7.5h16M4 16.5h16M8 12h12"/><path d="m4 10.4 1.8 1.6L4 13.6"/>"#,
            Icon::Info => r#"<circle cx="12" cy="12" r="8"/><path d="M12 11.2v4.6M12 8.2h.01"/>"#,
            Icon::Expand => r#"<path d="M9 4.5H4.5V9M15 4.5h4.5V9M9 19.5H4.5V15M15 19.5h4.5V15"/>"#,
            Icon::Sun => {
                r#"<circle cx="12" cy="12" r="3.6"/><path d="M12 4v1.8M12 18.2V20M4 12h1.8M18.2 12H20M6.3 6.3l1.3 1.3M16.4 16.4l1.3 1.3M17.7 6.3l-1.3 1.3M7.6 16.4l-1.3 1.3"/>"#
            }
            Icon::Moon => r#"<path d="M19 14.2A7.6 7.6 0 0 1 9.8 5a7.6 7.6 0 1 0 9.2 9.2z"/>"#,
        }
    }

    /// The icon as an element.
    pub fn view(self) -> impl IntoView {
        let class = if self == Icon::StarFilled { "ic f" } else { "ic" };
        view! { <svg class=class viewBox="0 0 24 24" aria-hidden="true" inner_html=self.drawing()></svg> }
    }
}

/// The state of an alert, a probe or a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// Filled diamond.
    Critical,
    /// Filled triangle.
    Warning,
    /// Ringed check.
    Ok,
    /// Dashed ring.
    Pending,
    /// Crossed bell.
    Silenced,
    /// Dashed square.
    NoData,
    /// Ringed i.
    Info,
}

impl Glyph {
    /// The glyph that goes with the value of a `severity` label.
    pub fn of_severity(severity: &str) -> Glyph {
        match severity.to_ascii_lowercase().as_str() {
            "critical" | "page" | "error" | "emergency" | "high" => Glyph::Critical,
            "warning" | "warn" | "medium" => Glyph::Warning,
            _ => Glyph::Info,
        }
    }

    /// The class that gives the glyph its colour.
    pub fn class(self) -> &'static str {
        match self {
            Glyph::Critical => "st crit",
            Glyph::Warning | Glyph::Pending => "st warn",
            Glyph::Ok => "st ok",
            Glyph::Silenced => "st mute",
            Glyph::NoData => "st dim",
            Glyph::Info => "st info",
        }
    }

    pub fn drawing(self) -> &'static str {
        match self {
            Glyph::Critical => {
                r#"<path d="M8 .9 15.1 8 8 15.1.9 8z" fill="currentColor"/><path d="M8 4.4v4.2M8 11h.01" stroke="var(--bg1)" stroke-width="1.8" stroke-linecap="round"/>"#
            }
            Glyph::Warning => {
                r#"<path d="M8 1.6 15.4 14.4H.6z" fill="currentColor" stroke="currentColor" stroke-width="1" stroke-linejoin="round"/><path d="M8 6v4M8 12.3h.01" stroke="var(--bg1)" stroke-width="1.7" stroke-linecap="round"/>"#
            }
            Glyph::Ok => {
                r#"<circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="m4.9 8.3 2.2 2.2 4-4.6" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/>"#
            }
            Glyph::Pending => {
                r#"<circle cx="8" cy="8" r="6.4" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="3.2 2.6"/>"#
            }
            Glyph::Silenced => {
                r#"<path d="M3.6 11.4V7.2A4.4 4.4 0 0 1 8 2.8M11.2 4.2a4.4 4.4 0 0 1 1.2 3v4.2H3M6.6 13.6h2.8M2.4 2.4l11.2 11.2" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/>"#
            }
            Glyph::NoData => {
                r#"<rect x="2" y="2" width="12" height="12" rx="2" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.6 2.2"/>"#
            }
            Glyph::Info => {
                r#"<circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M8 7.4v3.4M8 4.9h.01" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round"/>"#
            }
        }
    }

    /// The glyph as an element; the word beside it is the caller's.
    pub fn view(self) -> impl IntoView {
        view! { <svg class=self.class() viewBox="0 0 16 16" aria-hidden="true" inner_html=self.drawing()></svg> }
    }
}

/// Vigie's mark: a crow's nest with a lit lantern.
pub const MARK: &str = r#"<path d="M16 3.5v25" stroke="currentColor" stroke-width="2.2" stroke-linecap="round"/><path d="M7.5 13.5h17l-2.2 7.2H9.7z" fill="var(--bg0)" stroke="currentColor" stroke-width="2.2" stroke-linejoin="round"/><path d="M4.5 28.5c2.4 0 2.9-1.5 5.8-1.5s2.8 1.5 5.7 1.5 2.9-1.5 5.7-1.5 3.4 1.5 5.8 1.5" stroke="currentColor" stroke-width="2" stroke-linecap="round" opacity=".55"/><circle cx="16" cy="8.2" r="2.7" fill="var(--c2)"/>"#;
