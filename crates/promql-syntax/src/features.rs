//! The parts of the language that a server has to switch on, under the names of `--enable-feature`.
//! Source of the names: Prometheus 3.14, `cmd/prometheus/main.go`. What is refused where, of functions and aggregations: the
//! answers of Prometheus 3.5; of the others: ports of its later parser, which may differ from it in their words.

/// Functions and aggregations that are marked experimental.
pub const EXPERIMENTAL_FUNCTIONS: &str = "promql-experimental-functions";
/// `anchored` and `smoothed`.
pub const EXTENDED_RANGE_SELECTORS: &str = "promql-extended-range-selectors";
/// `fill`, `fill_left` and `fill_right`.
pub const FILL_MODIFIERS: &str = "promql-binop-fill-modifiers";

/// Which of them may stand in a query; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    pub experimental_functions: bool,
    pub extended_range_selectors: bool,
    pub fill_modifiers: bool,
}

impl Features {
    /// The whole language.
    pub const ALL: Features =
        Features { experimental_functions: true, extended_range_selectors: true, fill_modifiers: true };

    /// Switches on what a name of `--enable-feature` stands for; false if it stands for nothing of the language.
    pub fn enable(&mut self, name: &str) -> bool {
        match name {
            EXPERIMENTAL_FUNCTIONS => self.experimental_functions = true,
            EXTENDED_RANGE_SELECTORS => self.extended_range_selectors = true,
            FILL_MODIFIERS => self.fill_modifiers = true,
            _ => return false,
        }
        true
    }
}
