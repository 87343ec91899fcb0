//! Parquet: a row a sample, a column a label (null without it), row by row in order of the series; a native histogram as
//! columns of its fields, buckets as lists of their indexes and counts; exemplars as a table of their own. The only file
//! that knows the library.

use super::{
    columns::{Column, Field},
    csv::{exemplar_labels, hint_of, hint_word},
    export::{Exported, Holds},
    import::Gathered,
    openmetrics::family_of,
    select::{Selected, Survey},
};
use ::parquet::{
    basic::{Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::reader::ColumnReader,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type},
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{ColumnPath, Type},
};
use anyhow::{Context, Result, bail, ensure};
use model::{
    Exemplar, FloatHistogram, Labels, Metadata, MetricType, SampleValue,
    histogram::{CounterResetHint, Span},
    labels::METRIC_NAME,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use storage::{Queryable, Samples};
use tsdb::SeriesExemplars;

/// Rows of a group, the unit that readers skip or load: 16 MiB of times and values.
const GROUP_ROWS: usize = 1 << 20;
/// Rows written or read of a column at once.
const BATCH_ROWS: usize = 8192;
const ZSTD_LEVEL: i32 = 3;
/// A file of more columns is none of samples.
const COLUMNS_MAX: usize = 10_000;

/// In the file's own notes: type, help and unit of each metric family, as JSON.
const METADATA_KEY: &str = "metric_metadata";

/// Rows on their way into a group.
#[derive(Default)]
struct Rows {
    times: Vec<i64>,
    starts: Vec<i64>,
    /// One a row; what stands at histograms is not written.
    values: Vec<f64>,
    /// One a row in files that have histograms, else none.
    histograms: Vec<Option<Arc<FloatHistogram>>>,
    /// Of which series they are, and how many: runs, one behind the other.
    runs: Vec<(Labels, usize)>,
    /// Numbers in all of them.
    numbers: usize,
}

fn properties(notes: Option<String>) -> Result<Arc<WriterProperties>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by("vigie".to_owned())
        .set_column_dictionary_enabled(ColumnPath::from("timestamp"), false)
        .set_column_encoding(ColumnPath::from("timestamp"), Encoding::DELTA_BINARY_PACKED)
        .set_key_value_metadata(notes.map(|notes| vec![KeyValue::new(METADATA_KEY.to_owned(), notes)]))
        .build();
    Ok(Arc::new(properties))
}

/// Type, help and unit of the families of these metrics.
fn notes(selected: &Selected) -> Result<Option<String>> {
    let names = selected.querier(selected.first_ms, selected.last_ms)?.label_values(METRIC_NAME, &[])?;
    let all = selected.tsdb.metadata();
    let families: BTreeSet<&str> = names.iter().map(|name| family_of(name, &all)).collect();
    let known = families.into_iter().filter_map(|family| Some((family, all.get(family)?)));
    let notes: serde_json::Map<String, Value> = known
        .map(|(family, own)| {
            (family.to_owned(), json!({"type": own.metric_type.as_str(), "help": own.help, "unit": own.unit}))
        })
        .collect();
    Ok(if notes.is_empty() { None } else { Some(Value::Object(notes).to_string()) })
}

pub(super) fn write<W: Write + Send>(
    selected: &Selected,
    survey: Survey,
    out: W,
    told: &mut dyn FnMut(u64),
) -> Result<Exported> {
    let labels = selected.querier(selected.first_ms, selected.last_ms)?.label_names(&[])?;
    let mut columns = vec![Column::Time, Column::Value];
    columns.extend(survey.starts.then_some(Column::Start));
    if survey.histograms {
        columns.extend(Field::ALL.map(|(field, _)| Column::Field(field)));
    }
    columns.extend(labels.into_iter().map(Column::Label));
    let schema = schema(&columns, survey.histograms)?;
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), properties(notes(selected)?)?)?;
    let holds = Holds { histograms: true, starts: true, stale: true };
    let (mut exported, mut samples, mut done) = (Exported::default(), Samples::default(), 0);
    let mut rows = Rows::default();
    for series in selected.series(&[])? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        let before = rows.times.len();
        exported.samples(&samples, holds, |time, start, value| {
            rows.times.push(time);
            rows.starts.push(start);
            rows.numbers += 1;
            let (value, histogram) = match value {
                SampleValue::Float(value) => (value, None),
                SampleValue::Histogram(own) => {
                    rows.numbers += own.positive_buckets.len() + own.negative_buckets.len();
                    (0.0, Some(own))
                }
            };
            rows.values.push(value);
            if survey.histograms {
                rows.histograms.push(histogram);
            }
            Ok(())
        })?;
        let count = rows.times.len() - before;
        if count > 0 {
            rows.runs.push((series.labels().clone(), count));
        }
        if rows.numbers >= GROUP_ROWS {
            group(&mut file, &columns, &mut rows)?;
        }
        done += 1;
        told(done);
    }
    group(&mut file, &columns, &mut rows)?;
    file.close()?;
    Ok(exported)
}

pub(super) fn write_exemplars<W: Write + Send>(all: &[SeriesExemplars], out: W) -> Result<()> {
    let (labels, own_labels) = exemplar_labels(all);
    let mut columns = vec![Column::Time, Column::ExemplarValue];
    columns.extend(labels.into_iter().map(Column::Label));
    columns.extend(own_labels.into_iter().map(Column::ExemplarLabel));
    let mut file = SerializedFileWriter::new(out, Arc::new(schema(&columns, false)?), properties(None)?)?;
    let rows: Vec<(&Labels, &Exemplar)> =
        all.iter().flat_map(|series| series.exemplars.iter().map(|own| (&series.labels, own))).collect();
    for rows in rows.chunks(GROUP_ROWS) {
        let mut group = file.next_row_group()?;
        for column in &columns {
            let mut writer = group.next_column()?.context(MISSING)?;
            match column {
                Column::Time => {
                    let times: Vec<i64> = rows.iter().map(|(_, own)| own.timestamp_ms.unwrap_or(0)).collect();
                    writer.typed::<Int64Type>().write_batch(&times, None, None)?;
                }
                Column::Label(name) => texts(&mut writer, rows.iter().map(|(labels, _)| (labels.get(name), 1)))?,
                Column::ExemplarLabel(name) => {
                    texts(&mut writer, rows.iter().map(|(_, own)| (own.labels.get(name), 1)))?
                }
                _ => {
                    let values: Vec<f64> = rows.iter().map(|(_, own)| own.value).collect();
                    writer.typed::<DoubleType>().write_batch(&values, None, None)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
    }
    file.close()?;
    Ok(())
}

const MISSING: &str = "the schema has fewer columns than the table";

/// The type of a table with these columns. `gaps`: some rows have a histogram instead of a value.
fn schema(columns: &[Column], gaps: bool) -> Result<Type> {
    let mut fields = Vec::with_capacity(columns.len());
    for column in columns {
        let name = column.name();
        let time = Some(LogicalType::timestamp(true, TimeUnit::MILLIS));
        let value = if gaps { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let (physical, repetition, logical) = match column {
            Column::Time => (Physical::INT64, Repetition::REQUIRED, time),
            Column::Start => (Physical::INT64, Repetition::OPTIONAL, time),
            Column::Value => (Physical::DOUBLE, value, None),
            Column::ExemplarValue => (Physical::DOUBLE, Repetition::REQUIRED, None),
            Column::Field(Field::Schema) => (Physical::INT32, Repetition::OPTIONAL, None),
            Column::Field(Field::PositiveIndexes | Field::NegativeIndexes) => {
                (Physical::INT32, Repetition::REQUIRED, None)
            }
            Column::Field(field) if field.is_list() => (Physical::DOUBLE, Repetition::REQUIRED, None),
            Column::Field(Field::CounterReset) | Column::Histogram | Column::Label(_) | Column::ExemplarLabel(_) => {
                (Physical::BYTE_ARRAY, Repetition::OPTIONAL, Some(LogicalType::String))
            }
            Column::Field(_) => (Physical::DOUBLE, Repetition::OPTIONAL, None),
        };
        let is_list = matches!(column, Column::Field(field) if field.is_list());
        let own = if is_list { "element" } else { name.as_str() };
        let field = Type::primitive_type_builder(own, physical).with_repetition(repetition).with_logical_type(logical);
        let field = Arc::new(field.build()?);
        fields.push(if is_list { Arc::new(list(&name, field)?) } else { field });
    }
    Ok(Type::group_type_builder("samples").with_fields(fields).build()?)
}

/// A list as the format's standard has it: absent, or a repeated group of elements.
fn list(name: &str, element: Arc<Type>) -> Result<Type> {
    let items = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]);
    Ok(Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(items.build()?)])
        .build()?)
}

/// Writes the rows as a group, column by column, and empties them.
fn group<W: Write + Send>(file: &mut SerializedFileWriter<W>, columns: &[Column], rows: &mut Rows) -> Result<()> {
    if rows.times.is_empty() {
        return Ok(());
    }
    let mut group = file.next_row_group()?;
    for column in columns {
        let mut writer = group.next_column()?.context(MISSING)?;
        match column {
            Column::Time => drop(writer.typed::<Int64Type>().write_batch(&rows.times, None, None)?),
            Column::Start => {
                let starts = rows.starts.iter().map(|start| (*start != 0).then_some(*start));
                sparse::<Int64Type>(&mut writer, starts)?;
            }
            Column::Label(name) => texts(&mut writer, rows.runs.iter().map(|(own, count)| (own.get(name), *count)))?,
            Column::Field(field) => histogram_column(&mut writer, *field, &rows.histograms)?,
            _ if rows.histograms.is_empty() => {
                writer.typed::<DoubleType>().write_batch(&rows.values, None, None)?;
            }
            _ => {
                let rows = rows.values.iter().zip(&rows.histograms);
                sparse::<DoubleType>(&mut writer, rows.map(|(value, own)| own.is_none().then_some(*value)))?;
            }
        }
        writer.close()?;
    }
    group.close()?;
    *rows = Rows::default();
    Ok(())
}

/// Writes a column with gaps.
fn sparse<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    rows: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for row in rows {
        levels.push(i16::from(row.is_some()));
        values.extend(row);
    }
    writer.typed::<T>().write_batch(&values, Some(&levels), None)?;
    Ok(())
}

/// Writes a column of lists.
fn lists<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    rows: impl Iterator<Item = Option<Vec<T::T>>>,
) -> Result<()> {
    let (mut values, mut present, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row {
            Some(list) if !list.is_empty() => {
                present.resize(present.len() + list.len(), 2);
                repeated.push(0);
                repeated.resize(repeated.len() + list.len() - 1, 1);
                values.extend(list);
            }
            row => {
                present.push(i16::from(row.is_some()));
                repeated.push(0);
            }
        }
    }
    writer.typed::<T>().write_batch(&values, Some(&present), Some(&repeated))?;
    Ok(())
}

fn histogram_column(
    writer: &mut SerializedColumnWriter<'_>,
    field: Field,
    rows: &[Option<Arc<FloatHistogram>>],
) -> Result<()> {
    let rows = rows.iter().map(Option::as_ref);
    macro_rules! each {
        ($write:ident::<$kind:ty>, $value:expr) => {
            $write::<$kind>(writer, rows.map(|row| row.map($value)))
        };
    }
    match field {
        Field::Count => each!(sparse::<DoubleType>, |own| own.count),
        Field::Sum => each!(sparse::<DoubleType>, |own| own.sum),
        Field::Schema => each!(sparse::<Int32Type>, |own| own.schema),
        Field::ZeroThreshold => each!(sparse::<DoubleType>, |own| own.zero_threshold),
        Field::ZeroCount => each!(sparse::<DoubleType>, |own| own.zero_count),
        Field::PositiveIndexes => each!(lists::<Int32Type>, |own| indexes(&own.positive_spans)),
        Field::PositiveCounts => each!(lists::<DoubleType>, |own| own.positive_buckets.clone()),
        Field::NegativeIndexes => each!(lists::<Int32Type>, |own| indexes(&own.negative_spans)),
        Field::NegativeCounts => each!(lists::<DoubleType>, |own| own.negative_buckets.clone()),
        Field::CustomValues => each!(lists::<DoubleType>, |own| own.custom_values.clone()),
        Field::CounterReset => {
            let word = |own: &Arc<FloatHistogram>| hint_word(own.counter_reset_hint);
            texts(writer, rows.map(|row| (row.map(word).filter(|word| !word.is_empty()), 1)))
        }
    }
}

/// The index of each bucket.
fn indexes(spans: &[Span]) -> Vec<i32> {
    let (mut all, mut next) = (Vec::new(), 0_i32);
    for span in spans {
        next = next.saturating_add(span.offset);
        for _ in 0..span.length {
            all.push(next);
            next = next.saturating_add(1);
        }
    }
    all
}

/// Spans of buckets with these indexes.
fn spans(indexes: &[f64]) -> Result<Vec<Span>> {
    let (mut spans, mut next) = (Vec::<Span>::new(), 0_i64);
    for &index in indexes {
        ensure!(
            index.fract() == 0.0 && index.abs() <= f64::from(i32::MAX) && (spans.is_empty() || index >= next as f64),
            "{index} is no index behind the one before"
        );
        let offset = i32::try_from(index as i64 - next).context("the indexes are too far from each other")?;
        match spans.last_mut() {
            Some(last) if offset == 0 => last.length += 1,
            _ => spans.push(Span { offset, length: 1 }),
        }
        next = index as i64 + 1;
    }
    Ok(spans)
}

/// Writes texts, each for so many rows.
fn texts<'a>(
    writer: &mut SerializedColumnWriter<'_>,
    runs: impl Iterator<Item = (Option<&'a str>, usize)>,
) -> Result<()> {
    let (mut texts, mut levels) = (Vec::with_capacity(BATCH_ROWS), Vec::with_capacity(BATCH_ROWS));
    for (text, count) in runs {
        let text = text.map(|text| ByteArray::from(text.as_bytes().to_vec()));
        let mut left = count;
        while left > 0 {
            let some = left.min(BATCH_ROWS - levels.len());
            levels.resize(levels.len() + some, i16::from(text.is_some()));
            texts.extend(text.iter().flat_map(|text| std::iter::repeat_n(text.clone(), some)));
            left -= some;
            if levels.len() == BATCH_ROWS {
                writer.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
                texts.clear();
                levels.clear();
            }
        }
    }
    writer.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
    Ok(())
}

pub(super) fn read(path: &Path, gathered: &mut Gathered<'_>, told: &mut dyn FnMut(u64, u64)) -> Result<()> {
    // The library reads files of strangers with assertions in some places.
    catch_unwind(AssertUnwindSafe(|| read_file(path, gathered, told)))
        .unwrap_or_else(|_| bail!("the file is damaged, or is not Parquet as its standard has it"))
}

/// Milliseconds of a column's unit, as a ratio.
fn time_unit(column: &::parquet::schema::types::ColumnDescriptor) -> (i64, i64) {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) if matches!(time.unit, TimeUnit::NANOS) => (1, 1_000_000),
        (Some(LogicalType::Timestamp(time)), _) if matches!(time.unit, TimeUnit::MICROS) => (1, 1000),
        (_, ConvertedType::TIMESTAMP_MICROS) => (1, 1000),
        _ => (1, 1),
    }
}

fn read_file(path: &Path, gathered: &mut Gathered<'_>, told: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let file = SerializedFileReader::new(File::open(path)?)?;
    let metadata = file.metadata();
    let descriptor = metadata.file_metadata().schema_descr();
    ensure!(descriptor.num_columns() <= COLUMNS_MAX, "{} columns are too many", descriptor.num_columns());
    // Of a list, the first part of the path is its name.
    let columns: Vec<Column> = (descriptor.columns().iter())
        .map(|column| match column.max_rep_level() {
            0 => Column::of(&column.path().string()),
            _ => Column::of(column.path().parts().first().map_or("", String::as_str)),
        })
        .collect();
    let find = |wanted: Column| columns.iter().position(|column| *column == wanted);
    let place = |wanted: Column| {
        let name = wanted.name();
        find(wanted).with_context(|| format!("there is no column `{name}`"))
    };
    let time_at = place(Column::Time)?;
    let exemplar_at = find(Column::ExemplarValue);
    let value_at = match exemplar_at {
        Some(at) => at,
        None => place(Column::Value)?,
    };
    let fields: Vec<(Field, usize)> =
        Field::ALL.iter().filter_map(|(field, _)| Some((*field, find(Column::Field(*field))?))).collect();
    let start_at = find(Column::Start);
    let (_, units_a_ms) = time_unit(&descriptor.column(time_at));
    let start_units_a_ms = start_at.map_or(1, |at| time_unit(&descriptor.column(at)).1);
    read_notes(metadata.file_metadata().key_value_metadata(), gathered);
    let all = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    // The level at which a list is there, and that of its elements.
    let list_levels: HashMap<Field, (i16, i16)> = (fields.iter())
        .filter(|(field, at)| field.is_list() && descriptor.column(*at).max_rep_level() == 1)
        .map(|(field, at)| {
            let root = descriptor.get_column_root(*at);
            (*field, (i16::from(root.is_optional()), descriptor.column(*at).max_def_level()))
        })
        .collect();
    let mut done = 0;
    for number in 0..file.num_row_groups() {
        let group = file.get_row_group(number)?;
        let rows = usize::try_from(group.metadata().num_rows()).context("a group tells of less than no rows")?;
        let mut readers =
            (0..columns.len()).map(|at| group.get_column_reader(at)).collect::<Result<Vec<ColumnReader>, _>>()?;
        let mut batch: Vec<Vec<Cell>> = columns.iter().map(|_| Vec::new()).collect();
        let mut left = rows;
        while left > 0 {
            let count = left.min(BATCH_ROWS);
            for ((reader, cells), column) in readers.iter_mut().zip(&mut batch).zip(&columns) {
                cells.clear();
                let read = match column {
                    Column::Field(field) if field.is_list() => {
                        list_cells_of(reader, count, list_levels.get(field).copied(), cells)
                    }
                    _ => cells_of(reader, count, cells),
                };
                read.with_context(|| format!("column {column:?} of group {number}"))?;
                ensure!(cells.len() == count, "column {column:?} of group {number} has too few rows");
            }
            let mut slot: Option<usize> = None;
            for row in 0..count {
                let cell = |at: usize| batch.get(at).and_then(|cells| cells.get(row));
                let time = match cell(time_at) {
                    Some(Cell::Integer(time)) => time.div_euclid(units_a_ms),
                    other => bail!("row {}: the timestamp is {other:?}, not an integer", done + row as u64),
                };
                let place = || format!("row {}", done + row as u64);
                let labels_same = |row: usize| {
                    columns.iter().zip(&batch).all(|(column, cells)| {
                        !matches!(column, Column::Label(_)) || cells.get(row) == cells.get(row - 1)
                    })
                };
                let histogram = histogram(&fields, cell).with_context(place)?;
                let value = match (cell(value_at), histogram) {
                    (_, Some(own)) => SampleValue::Histogram(Arc::new(own)),
                    (Some(Cell::Float(value)), None) => SampleValue::Float(*value),
                    (Some(Cell::Integer(value)), None) => SampleValue::Float(*value as f64),
                    // A table from elsewhere may have gaps.
                    (Some(Cell::Null), None) => continue,
                    (other, None) => bail!("{}: the value is {other:?}, not a number", place()),
                };
                let number = match slot.filter(|_| row > 0 && labels_same(row)) {
                    Some(number) => number,
                    None => {
                        let labels = labels(&columns, cell).with_context(place)?;
                        ensure!(!labels.is_empty(), "{}: it has no label, so that nothing would find it", place());
                        *slot.insert(gathered.slot(labels))
                    }
                };
                match (exemplar_at, value) {
                    (Some(_), SampleValue::Float(value)) => {
                        let labels = exemplar_labels_of(&columns, cell).with_context(place)?;
                        gathered.exemplar(number, Exemplar { labels, value, timestamp_ms: Some(time) })?;
                    }
                    (_, value) => {
                        let start_ms = match start_at.and_then(cell) {
                            Some(Cell::Integer(start)) => start.div_euclid(start_units_a_ms),
                            _ => 0,
                        };
                        gathered.push(number, time, value, start_ms)?;
                    }
                }
            }
            left -= count;
            done += count as u64;
            told(done, all);
        }
    }
    Ok(())
}

/// What stands in a row of a column.
#[derive(Debug, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Float(f64),
    Text(ByteArray),
    List(Vec<f64>),
}

fn labels<'a>(columns: &[Column], cell: impl Fn(usize) -> Option<&'a Cell>) -> Result<Labels> {
    let label = |column: &Column| match column {
        Column::Label(name) => Some(name.clone()),
        _ => None,
    };
    label_cells(columns, cell, label)
}

fn exemplar_labels_of<'a>(columns: &[Column], cell: impl Fn(usize) -> Option<&'a Cell>) -> Result<Labels> {
    let label = |column: &Column| match column {
        Column::ExemplarLabel(name) => Some(name.clone()),
        _ => None,
    };
    label_cells(columns, cell, label)
}

fn label_cells<'a>(
    columns: &[Column],
    cell: impl Fn(usize) -> Option<&'a Cell>,
    label: impl Fn(&Column) -> Option<String>,
) -> Result<Labels> {
    let mut pairs = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let Some(name) = label(column) else { continue };
        match cell(at) {
            Some(Cell::Text(text)) if !text.data().is_empty() => {
                let text = std::str::from_utf8(text.data()).with_context(|| format!("label `{name}` is no UTF-8"))?;
                pairs.push((name, text.to_owned()));
            }
            Some(Cell::Integer(number)) => pairs.push((name, number.to_string())),
            Some(Cell::Float(_)) => bail!("label `{name}` is a number with a fraction; labels are texts"),
            _ => {}
        }
    }
    Ok(Labels::from_pairs(pairs))
}

/// The native histogram of a row, if its count is there.
fn histogram<'a>(
    fields: &[(Field, usize)],
    cell: impl Fn(usize) -> Option<&'a Cell>,
) -> Result<Option<FloatHistogram>> {
    let of = |field: Field| fields.iter().find(|(own, _)| *own == field).and_then(|(_, at)| cell(*at));
    let number = |field: Field| match of(field) {
        Some(Cell::Float(value)) => Ok(*value),
        Some(Cell::Integer(value)) => Ok(*value as f64),
        Some(Cell::Null) | None => Ok(0.0),
        other => bail!("{field:?} of the native histogram is {other:?}, not a number"),
    };
    let list = |field: Field| match of(field) {
        Some(Cell::List(values)) => values.clone(),
        _ => Vec::new(),
    };
    if matches!(of(Field::Count), None | Some(Cell::Null)) {
        return Ok(None);
    }
    let hint = match of(Field::CounterReset) {
        Some(Cell::Text(word)) => hint_of(&String::from_utf8_lossy(word.data())).map_err(anyhow::Error::msg)?,
        _ => CounterResetHint::Unknown,
    };
    let schema = number(Field::Schema)?;
    ensure!(schema.fract() == 0.0 && schema.abs() < 1000.0, "{schema} is no schema of a native histogram");
    let own = FloatHistogram {
        counter_reset_hint: hint,
        schema: schema as i32,
        zero_threshold: number(Field::ZeroThreshold)?,
        zero_count: number(Field::ZeroCount)?,
        count: number(Field::Count)?,
        sum: number(Field::Sum)?,
        positive_spans: spans(&list(Field::PositiveIndexes)).context("positive indexes")?,
        positive_buckets: list(Field::PositiveCounts),
        negative_spans: spans(&list(Field::NegativeIndexes)).context("negative indexes")?,
        negative_buckets: list(Field::NegativeCounts),
        custom_values: list(Field::CustomValues),
    };
    exposition::native::check(&own).map_err(anyhow::Error::msg).context("native histogram")?;
    Ok(Some(own))
}

/// What an export noted of the metric families; others' notes are none of ours.
fn read_notes(all: Option<&Vec<KeyValue>>, gathered: &mut Gathered<'_>) {
    let own = all.into_iter().flatten().find(|own| own.key == METADATA_KEY).and_then(|own| own.value.as_deref());
    let parsed = own.and_then(|text| serde_json::from_str::<serde_json::Map<String, Value>>(text).ok());
    for (family, own) in parsed.into_iter().flatten() {
        let text = |key: &str| own[key].as_str().unwrap_or_default().to_owned();
        let metric_type = MetricType::parse(&text("type")).unwrap_or(MetricType::Unknown);
        gathered.metadata.insert(family, Metadata { metric_type, help: text("help"), unit: text("unit") });
    }
}

/// Reads lists of numbers. `levels`: that at which a list is there, and that of its elements.
fn list_cells_of(
    reader: &mut ColumnReader,
    count: usize,
    levels: Option<(i16, i16)>,
    cells: &mut Vec<Cell>,
) -> Result<()> {
    let (there, element) = levels.context("it is no list of numbers")?;
    macro_rules! rows {
        ($reader:expr) => {{
            while cells.len() < count {
                let (mut values, mut present, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
                let wanted = count - cells.len();
                let (rows, ..) = $reader.read_records(wanted, Some(&mut present), Some(&mut repeated), &mut values)?;
                if rows == 0 {
                    break;
                }
                let mut values = values.into_iter();
                for (present, repeated) in present.iter().zip(&repeated) {
                    if *repeated == 0 {
                        cells.push(if *present < there { Cell::Null } else { Cell::List(Vec::new()) });
                    }
                    match cells.last_mut() {
                        Some(Cell::List(list)) if *present == element => {
                            list.extend(values.next().map(|value| value as f64));
                        }
                        _ => ensure!(*present <= there, "a list has a gap"),
                    }
                }
            }
        }};
    }
    match reader {
        ColumnReader::Int64ColumnReader(reader) => rows!(reader),
        ColumnReader::Int32ColumnReader(reader) => rows!(reader),
        ColumnReader::DoubleColumnReader(reader) => rows!(reader),
        ColumnReader::FloatColumnReader(reader) => rows!(reader),
        _ => bail!("it is no list of numbers"),
    }
    Ok(())
}

/// Reads rows of a column.
fn cells_of(reader: &mut ColumnReader, count: usize, cells: &mut Vec<Cell>) -> Result<()> {
    macro_rules! rows {
        ($reader:expr, $cell:expr) => {{
            while cells.len() < count {
                let (mut values, mut levels) = (Vec::new(), Vec::new());
                let (rows, found, _) =
                    $reader.read_records(count - cells.len(), Some(&mut levels), None, &mut values)?;
                if rows == 0 {
                    break;
                }
                if levels.is_empty() || found == rows {
                    cells.extend(values.into_iter().map($cell));
                } else {
                    let mut values = values.into_iter();
                    let highest = levels.iter().max().copied().unwrap_or(0).max(1);
                    cells.extend(levels.iter().map(|level| match *level == highest {
                        true => values.next().map_or(Cell::Null, $cell),
                        false => Cell::Null,
                    }));
                }
            }
        }};
    }
    match reader {
        ColumnReader::Int64ColumnReader(reader) => rows!(reader, Cell::Integer),
        ColumnReader::Int32ColumnReader(reader) => rows!(reader, |value| Cell::Integer(i64::from(value))),
        ColumnReader::DoubleColumnReader(reader) => rows!(reader, Cell::Float),
        ColumnReader::FloatColumnReader(reader) => rows!(reader, |value| Cell::Float(f64::from(value))),
        ColumnReader::ByteArrayColumnReader(reader) => rows!(reader, Cell::Text),
        _ => bail!("it has a type that neither samples nor labels have"),
    }
    Ok(())
}
