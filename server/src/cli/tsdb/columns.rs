//! Columns of the tables that samples and exemplars are exported as.

/// Names that columns have which are no labels: those of the values, and of what a native histogram consists of.
const TIME: &str = "timestamp";
const VALUE: &str = "value";
const START: &str = "start_timestamp";
const EXEMPLAR_VALUE: &str = "exemplar_value";
const HISTOGRAM: &str = "native_histogram";
/// Before the name of a label that would look like one of these columns, or begins like this or the next.
const LABEL_PREFIX: &str = "label:";
/// Before the labels of an exemplar itself.
const EXEMPLAR_PREFIX: &str = "exemplar:";

/// What a column of a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Of the sample or the exemplar.
    Time,
    /// Null or empty where the sample is a native histogram.
    Value,
    /// When the sample's counter started.
    Start,
    /// Its value, instead of [`Column::Value`], makes a table one of exemplars.
    ExemplarValue,
    /// A native histogram as text.
    Histogram,
    Field(Field),
    ExemplarLabel(String),
    Label(String),
}

/// What a native histogram consists of: a column each in Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Count,
    Sum,
    Schema,
    ZeroThreshold,
    ZeroCount,
    PositiveIndexes,
    PositiveCounts,
    NegativeIndexes,
    NegativeCounts,
    CustomValues,
    /// Also in CSV, for its text does not tell it.
    CounterReset,
}

impl Field {
    pub(super) const ALL: [(Field, &str); 11] = [
        (Field::Count, "histogram_count"),
        (Field::Sum, "histogram_sum"),
        (Field::Schema, "histogram_schema"),
        (Field::ZeroThreshold, "histogram_zero_threshold"),
        (Field::ZeroCount, "histogram_zero_count"),
        (Field::PositiveIndexes, "histogram_positive_indexes"),
        (Field::PositiveCounts, "histogram_positive_counts"),
        (Field::NegativeIndexes, "histogram_negative_indexes"),
        (Field::NegativeCounts, "histogram_negative_counts"),
        (Field::CustomValues, "histogram_custom_values"),
        (Field::CounterReset, "histogram_counter_reset_hint"),
    ];

    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Field::PositiveIndexes
                | Field::PositiveCounts
                | Field::NegativeIndexes
                | Field::NegativeCounts
                | Field::CustomValues
        )
    }
}

impl Column {
    pub(super) fn of(name: &str) -> Self {
        Column::reserved(name).unwrap_or_else(|| match name.strip_prefix(EXEMPLAR_PREFIX) {
            Some(name) => Column::ExemplarLabel(name.to_owned()),
            None => Column::Label(name.strip_prefix(LABEL_PREFIX).unwrap_or(name).to_owned()),
        })
    }

    fn reserved(name: &str) -> Option<Self> {
        Some(match name {
            TIME => Column::Time,
            VALUE => Column::Value,
            START => Column::Start,
            EXEMPLAR_VALUE => Column::ExemplarValue,
            HISTOGRAM => Column::Histogram,
            _ => Column::Field(Field::ALL.iter().find(|(_, own)| *own == name)?.0),
        })
    }

    pub(super) fn name(&self) -> String {
        match self {
            Column::Time => TIME.to_owned(),
            Column::Value => VALUE.to_owned(),
            Column::Start => START.to_owned(),
            Column::ExemplarValue => EXEMPLAR_VALUE.to_owned(),
            Column::Histogram => HISTOGRAM.to_owned(),
            Column::Field(field) => {
                Field::ALL.iter().find(|(own, _)| own == field).map(|(_, name)| *name).unwrap_or_default().to_owned()
            }
            Column::ExemplarLabel(label) => format!("{EXEMPLAR_PREFIX}{label}"),
            Column::Label(label) => {
                let taken = Column::reserved(label).is_some()
                    || [LABEL_PREFIX, EXEMPLAR_PREFIX].iter().any(|prefix| label.starts_with(prefix));
                if taken { format!("{LABEL_PREFIX}{label}") } else { label.clone() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_the_names_of_labels() {
        #[rustfmt::skip]
        let cases = [
            ("__name__", "__name__"), ("job", "job"), ("label:x", "label:label:x"), ("exemplar:x", "label:exemplar:x"),
            ("timestamp", "label:timestamp"), ("value", "label:value"), ("histogram_sum", "label:histogram_sum"),
            ("native_histogram", "label:native_histogram"), ("exemplar_value", "label:exemplar_value"),
        ];
        for (label, name) in cases {
            let column = Column::Label(label.to_owned());
            assert_eq!(column.name(), name);
            assert_eq!(Column::of(name), column);
        }
        let fields = Field::ALL.map(|(field, _)| Column::Field(field));
        let others = [Column::Time, Column::Value, Column::Start, Column::ExemplarValue, Column::Histogram];
        let label = Column::ExemplarLabel("trace_id".to_owned());
        for column in fields.into_iter().chain(others).chain([label]) {
            assert_eq!(Column::of(&column.name()), column);
        }
    }
}
