//! `--enable-feature`: Prometheus' names, and what each means here. The table of docs/command-line.md says the same.
//! Source of the names: Prometheus 3.14, `cmd/prometheus/main.go`, and those of releases before it.

use promql_syntax::Features;

/// What the names that were given switch on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// What may stand in queries, rules and `match[]` of `/federate`.
    pub(crate) language: Features,
    /// `stats=all` tells the samples of each step.
    pub(crate) per_step_stats: bool,
    /// `rate` and its relatives look at when a counter started.
    pub(crate) use_start_timestamps: bool,
    /// The configuration is read again when a file of it changes.
    pub(crate) auto_reload: bool,
    /// Names that lose their meaning go at the end of a query only.
    pub(crate) delayed_name_removal: bool,
    /// `extra_scrape_metrics` is true where `global` does not say it.
    pub(crate) extra_scrape_metrics: bool,
}

/// What a name means that switches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fixed {
    /// On whether asked for or not.
    On,
    /// Not here; in its place stands the text.
    Without(&'static str),
}

const FIXED: &[(&str, Fixed)] = &[
    ("auto-gomaxprocs", Fixed::Without("threads follow the cores of the machine, and there is no Go")),
    ("auto-gomemlimit", Fixed::Without("memory is given back at once, and there is no Go")),
    ("concurrent-rule-eval", Fixed::Without("groups run side by side, the rules of a group one after the other")),
    ("created-timestamp-zero-ingestion", Fixed::Without("start timestamps are stored beside the samples")),
    ("delayed-compaction", Fixed::Without("compaction is not delayed")),
    ("exemplar-storage", Fixed::On),
    ("expand-external-labels", Fixed::On),
    ("fast-startup", Fixed::Without("the log is read at every start")),
    ("histograms-st-encoding", Fixed::On),
    ("memory-snapshot-on-shutdown", Fixed::Without("the log is read at every start")),
    ("metadata-wal-records", Fixed::On),
    ("native-histograms", Fixed::Without("set scrape_native_histograms: true in the configuration")),
    ("new-service-discovery-manager", Fixed::On),
    ("old-ui", Fixed::Without("there is one user interface")),
    ("otlp-deltatocumulative", Fixed::Without("there is no OTLP receiver")),
    ("otlp-native-delta-ingestion", Fixed::Without("there is no OTLP receiver")),
    ("otlp-write-receiver", Fixed::Without("there is no OTLP receiver")),
    ("promql-at-modifier", Fixed::On),
    ("promql-duration-expr", Fixed::On),
    ("promql-negative-offset", Fixed::On),
    ("remote-write-receiver", Fixed::Without("use --web.enable-remote-write-receiver")),
    ("search-api", Fixed::On),
    ("st-storage", Fixed::On),
    ("st-synthesis", Fixed::Without("start timestamps are those that targets tell")),
    ("type-and-unit-labels", Fixed::Without("types and units are told by /api/v1/metadata")),
    ("use-uncached-io", Fixed::Without("files are written through the page cache")),
    ("utf8-names", Fixed::On),
    ("xor2-encoding", Fixed::Without("chunks have an encoding of their own, which keeps start timestamps")),
];

/// What there is to say of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    On(String),
    AlwaysOn(String),
    Without(String, &'static str),
    Unknown(String),
}

impl Enabled {
    /// Reads what stands behind `--enable-feature`, each time several names divided by commas.
    pub(crate) fn read(given: &[String]) -> (Enabled, Vec<Remark>) {
        let (mut enabled, mut remarks) = (Enabled::default(), Vec::new());
        for name in given.iter().flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
            let owned = name.to_owned();
            remarks.push(if enabled.switch(name) {
                Remark::On(owned)
            } else {
                match FIXED.iter().find(|(known, _)| *known == name) {
                    Some((_, Fixed::On)) => Remark::AlwaysOn(owned),
                    Some((_, Fixed::Without(instead))) => Remark::Without(owned, instead),
                    None => Remark::Unknown(owned),
                }
            });
        }
        (enabled, remarks)
    }

    fn switch(&mut self, name: &str) -> bool {
        match name {
            "promql-per-step-stats" => self.per_step_stats = true,
            "auto-reload-config" => self.auto_reload = true,
            "use-start-timestamps" => self.use_start_timestamps = true,
            "promql-delayed-name-removal" => self.delayed_name_removal = true,
            "extra-scrape-metrics" => self.extra_scrape_metrics = true,
            name => return self.language.enable(name),
        }
        true
    }
}

/// Writes what there is to say of the names into the log.
pub(crate) fn log(remarks: &[Remark]) {
    for remark in remarks {
        match remark {
            Remark::On(feature) => tracing::info!(feature, "a feature is switched on"),
            Remark::AlwaysOn(feature) => tracing::info!(feature, "a feature is always on here"),
            Remark::Without(feature, instead) => {
                tracing::warn!(feature, instead, "a feature of --enable-feature is not known here");
            }
            Remark::Unknown(option) => tracing::warn!(option, "Unknown option for --enable-feature"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is given, what it switches on, what is remarked.
    const CASES: &str = "
promql-experimental-functions => functions; on
promql-extended-range-selectors,promql-binop-fill-modifiers => selectors fill; on on
promql-per-step-stats, use-start-timestamps,,promql-delayed-name-removal,extra-scrape-metrics => steps starts names extra; on on on on
exemplar-storage,promql-duration-expr,search-api => ; always always always
auto-reload-config => reload; on
old-ui,native-histograms => ; without without
promql-experimental-function => ; unknown
";

    #[test]
    fn names_mean_what_the_table_says() {
        for case in CASES.trim().lines() {
            let (given, expected) = case.split_once(" => ").unwrap();
            let (enabled, remarks) = Enabled::read(&[given.to_owned()]);
            let switches = [
                (enabled.language.experimental_functions, "functions"),
                (enabled.language.extended_range_selectors, "selectors"),
                (enabled.language.fill_modifiers, "fill"),
                (enabled.per_step_stats, "steps"),
                (enabled.use_start_timestamps, "starts"),
                (enabled.delayed_name_removal, "names"),
                (enabled.extra_scrape_metrics, "extra"),
                (enabled.auto_reload, "reload"),
            ];
            let on: Vec<_> = switches.iter().filter(|(is_on, _)| *is_on).map(|(_, name)| *name).collect();
            let said: Vec<_> = remarks
                .iter()
                .map(|remark| match remark {
                    Remark::On(_) => "on",
                    Remark::AlwaysOn(_) => "always",
                    Remark::Without(..) => "without",
                    Remark::Unknown(_) => "unknown",
                })
                .collect();
            assert_eq!(format!("{}; {}", on.join(" "), said.join(" ")), expected, "in case `{case}`");
        }
    }

    #[test]
    fn the_table_of_the_documentation_has_every_name() {
        let docs = include_str!("../../../docs/command-line.md");
        let switches = [
            promql_syntax::features::EXPERIMENTAL_FUNCTIONS,
            promql_syntax::features::EXTENDED_RANGE_SELECTORS,
            promql_syntax::features::FILL_MODIFIERS,
            "promql-per-step-stats",
            "use-start-timestamps",
            "promql-delayed-name-removal",
            "extra-scrape-metrics",
        ];
        for name in FIXED.iter().map(|(name, _)| *name).chain(switches) {
            assert!(docs.contains(&format!("`{name}`")), "docs/command-line.md lacks `{name}`");
        }
        assert!(FIXED.is_sorted_by_key(|(name, _)| *name), "the names are sorted");
    }
}
