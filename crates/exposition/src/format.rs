//! Names of the formats, and how the two sides agree on one.
//!
//! Source: "Content Negotiation" and "Exposition formats" in the Prometheus documentation.

use crate::escaping::Escaping;
use std::fmt;

/// A format as `scrape_protocols` and `fallback_scrape_protocol` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    PrometheusProto,
    OpenMetricsText0_0_1,
    OpenMetricsText1_0_0,
    PrometheusText0_0_4,
    PrometheusText1_0_0,
}

impl ScrapeProtocol {
    pub const ALL: [ScrapeProtocol; 5] = [
        ScrapeProtocol::PrometheusProto,
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4,
        ScrapeProtocol::PrometheusText1_0_0,
    ];

    /// Prometheus' default, best first. Protobuf stands in front only where native histograms are scraped.
    pub const DEFAULT: [ScrapeProtocol; 4] = [
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::PrometheusText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ScrapeProtocol::PrometheusProto => "PrometheusProto",
            ScrapeProtocol::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            ScrapeProtocol::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            ScrapeProtocol::PrometheusText0_0_4 => "PrometheusText0.0.4",
            ScrapeProtocol::PrometheusText1_0_0 => "PrometheusText1.0.0",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        ScrapeProtocol::ALL.into_iter().find(|protocol| protocol.as_str() == text)
    }

    fn media_type(self) -> &'static str {
        match self {
            ScrapeProtocol::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            ScrapeProtocol::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            ScrapeProtocol::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            ScrapeProtocol::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            ScrapeProtocol::PrometheusText1_0_0 => "text/plain;version=1.0.0",
        }
    }

    fn format(self) -> Format {
        match self {
            ScrapeProtocol::PrometheusProto => Format::Protobuf,
            ScrapeProtocol::OpenMetricsText0_0_1 | ScrapeProtocol::OpenMetricsText1_0_0 => Format::OpenMetrics,
            ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0 => Format::Text,
        }
    }
}

impl fmt::Display for ScrapeProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `Accept` header of a scrape, as Prometheus words it: falling weights from 0.6, then anything at 0.2.
/// `escaping`: the value of the `escaping` parameter, `allow-utf-8` unless the job says otherwise.
pub fn accept_header(protocols: &[ScrapeProtocol], escaping: &str) -> String {
    let mut header = String::new();
    let mut weight = ScrapeProtocol::ALL.len() + 1;
    for protocol in protocols {
        header.push_str(protocol.media_type());
        // The others are older than names that need it; protobuf is not, and who is not asked sends underscores.
        if matches!(
            protocol,
            ScrapeProtocol::PrometheusProto
                | ScrapeProtocol::OpenMetricsText1_0_0
                | ScrapeProtocol::PrometheusText1_0_0
        ) {
            header.push_str(";escaping=");
            header.push_str(escaping);
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1);
    }
    header.push_str(&format!("*/*;q=0.{weight}"));
    header
}

/// The grammar of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4 and 1.0.0: the second only adds quoted names, which are read in both.
    Text,
    /// OpenMetrics text 0.0.1 and 1.0.0.
    OpenMetrics,
    /// Length-delimited `io.prometheus.client.MetricFamily`.
    Protobuf,
}

/// Why no format could be chosen for a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    #[error("received unsupported Content-Type {0:?} and no fallback_scrape_protocol specified for target")]
    Unsupported(String),
}

/// The format that a target's `Content-Type` names, or else the one of `fallback`.
///
/// # Errors
/// A type that is absent or unknown while there is no fallback.
pub fn select_format(content_type: &str, fallback: Option<ScrapeProtocol>) -> Result<Format, FormatError> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/openmetrics-text" => return Ok(Format::OpenMetrics),
        "text/plain" => return Ok(Format::Text),
        "application/vnd.google.protobuf" => return Ok(Format::Protobuf),
        _ => {}
    }
    match fallback {
        Some(protocol) => Ok(protocol.format()),
        None if media.is_empty() => Err(FormatError::Blank),
        None => Err(FormatError::Unsupported(content_type.to_owned())),
    }
}

/// What we serve, chosen by the `Accept` header of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    pub protocol: ScrapeProtocol,
    /// How names outside the classic alphabet are written.
    pub escaping: Escaping,
}

impl Served {
    /// Classic text, for those who ask for nothing.
    pub const TEXT: Served = Served { protocol: ScrapeProtocol::PrometheusText0_0_4, escaping: Escaping::Underscores };

    /// What an `Accept` header asks for among the text formats: see [`negotiate`].
    pub fn negotiate(accept: &str) -> Self {
        negotiate(accept, &ScrapeProtocol::DEFAULT)
    }

    pub fn is_openmetrics(self) -> bool {
        self.protocol.format() == Format::OpenMetrics
    }

    /// The value of the `Content-Type` header.
    pub fn content_type(self) -> String {
        let version = match self.protocol {
            ScrapeProtocol::OpenMetricsText1_0_0 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ScrapeProtocol::OpenMetricsText0_0_1 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            ScrapeProtocol::PrometheusText1_0_0 => "text/plain; version=1.0.0; charset=utf-8",
            ScrapeProtocol::PrometheusProto => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            _ => "text/plain; version=0.0.4; charset=utf-8",
        };
        format!("{version}; escaping={}", self.escaping.as_str())
    }
}

/// Chooses among what is offered by an `Accept` header. Classic text is for those who ask for nothing of it.
///
/// The escaping of names holds from the range that names it on, in order of quality: so Prometheus, which names it
/// beside the newer formats, gets it in classic text as well.
pub fn negotiate(accept: &str, offered: &[ScrapeProtocol]) -> Served {
    let mut ranges: Vec<(f64, Option<ScrapeProtocol>, Option<Escaping>)> = accept.split(',').map(range).collect();
    // Stable: of equal quality, what comes first.
    ranges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut served = Served::TEXT;
    for (quality, protocol, escaping) in ranges {
        if quality <= 0.0 {
            break;
        }
        served.escaping = escaping.unwrap_or(served.escaping);
        if let Some(protocol) = protocol.filter(|protocol| offered.contains(protocol)) {
            served.protocol = protocol;
            break;
        }
    }
    served
}

/// One range of an `Accept` header: its quality, the format and the escaping that it names.
fn range(range: &str) -> (f64, Option<ScrapeProtocol>, Option<Escaping>) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let (mut quality, mut version, mut escaping) = (1.0, "", None);
    let (mut family, mut delimited) = (false, false);
    for parameter in parts {
        match parameter.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
            Some(("version", value)) => version = value,
            Some(("proto", value)) => family = value == "io.prometheus.client.MetricFamily",
            Some(("encoding", value)) => delimited = value == "delimited",
            Some(("escaping", value)) => escaping = Escaping::parse(value),
            _ => {}
        }
    }
    let protocol = match (media.as_str(), version) {
        ("application/vnd.google.protobuf", _) if family && delimited => Some(ScrapeProtocol::PrometheusProto),
        ("application/openmetrics-text", "1.0.0") => Some(ScrapeProtocol::OpenMetricsText1_0_0),
        ("application/openmetrics-text", "" | "0.0.1") => Some(ScrapeProtocol::OpenMetricsText0_0_1),
        ("text/plain", "1.0.0") => Some(ScrapeProtocol::PrometheusText1_0_0),
        ("text/plain", "" | "0.0.4") | ("*/*" | "text/*", _) => Some(ScrapeProtocol::PrometheusText0_0_4),
        _ => None,
    };
    (quality, protocol, escaping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_accept_header() {
        assert_eq!(
            accept_header(&ScrapeProtocol::DEFAULT, "allow-utf-8"),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        let served = Served::negotiate(&accept_header(&ScrapeProtocol::DEFAULT, "allow-utf-8"));
        assert_eq!(served, Served { protocol: ScrapeProtocol::OpenMetricsText1_0_0, escaping: Escaping::AllowUtf8 });
        assert_eq!(Served::negotiate("text/html, */*;q=0.1"), Served::TEXT);
        let classic = [ScrapeProtocol::PrometheusText0_0_4];
        assert_eq!(negotiate("application/openmetrics-text;version=1.0.0", &classic), Served::TEXT);
        let all = accept_header(&ScrapeProtocol::ALL, "allow-utf-8");
        assert_eq!(negotiate(&all, &ScrapeProtocol::ALL).protocol, ScrapeProtocol::PrometheusProto);
        let quoted = Served { escaping: Escaping::AllowUtf8, ..Served::TEXT };
        assert_eq!(negotiate(&all, &classic), quoted);
        let dots = "text/plain;q=0.5, application/openmetrics-text;version=1.0.0;escaping=dots;q=0.6";
        assert_eq!(negotiate(dots, &classic), Served { escaping: Escaping::Dots, ..Served::TEXT });
        assert_eq!(negotiate("text/plain, x/y;escaping=dots;q=0.6", &classic), Served::TEXT);
        let other = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text";
        assert_eq!(negotiate(other, &ScrapeProtocol::ALL), Served::TEXT);
    }

    #[test]
    fn content_types() {
        use ScrapeProtocol::PrometheusText0_0_4 as TEXT;
        let cases = [
            ("text/plain; version=0.0.4; charset=utf-8", None, "Ok(Text)"),
            ("application/openmetrics-text; version=1.0.0", None, "Ok(OpenMetrics)"),
            ("", None, "Err(Blank)"),
            ("text/html", None, r#"Err(Unsupported("text/html"))"#),
            ("text/html", Some(TEXT), "Ok(Text)"),
        ];
        for (content_type, fallback, expected) in cases {
            assert_eq!(format!("{:?}", select_format(content_type, fallback)), expected, "{content_type}");
        }
    }
}
