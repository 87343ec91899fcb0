//! Parquet: a row a sample, a column a label (null without it), row by row in order of the series. The only file that
//! knows the library.

use super::{
    export::Exported,
    import::{Column, Gathered},
    select::Selected,
};
use ::parquet::{
    basic::{Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::reader::ColumnReader,
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type},
};
use anyhow::{Context, Result, bail, ensure};
use model::Labels;
use std::{
    fs::File,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use storage::{Queryable, Samples};

/// Rows of a group, the unit that readers skip or load: 16 MiB of times and values.
const GROUP_ROWS: usize = 1 << 20;
/// Rows written or read of a column at once.
const BATCH_ROWS: usize = 8192;
const ZSTD_LEVEL: i32 = 3;
/// A file of more columns is none of samples.
const COLUMNS_MAX: usize = 10_000;

/// Rows on their way into a group.
#[derive(Default)]
struct Rows {
    times: Vec<i64>,
    values: Vec<f64>,
    /// Of which series they are, and how many: runs, one behind the other.
    runs: Vec<(Labels, usize)>,
}

pub(super) fn write<W: Write + Send>(selected: &Selected, out: W, told: &mut dyn FnMut(u64)) -> Result<Exported> {
    let labels = selected.querier(selected.first_ms, selected.last_ms)?.label_names(&[])?;
    let names = Column::names(&labels);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by("vigie".to_owned())
        .set_column_dictionary_enabled(ColumnPath::from("timestamp"), false)
        .set_column_encoding(ColumnPath::from("timestamp"), Encoding::DELTA_BINARY_PACKED)
        .build();
    let mut file = SerializedFileWriter::new(out, Arc::new(schema(&names)?), Arc::new(properties))?;
    let (mut exported, mut samples, mut done) = (Exported::default(), Samples::default(), 0);
    let mut rows = Rows::default();
    for series in selected.series(&[])? {
        let series = series?;
        samples.clear();
        series.read(&mut samples)?;
        let before = rows.times.len();
        exported.floats(&samples, true, |time, value| {
            rows.times.push(time);
            rows.values.push(value);
        });
        let count = rows.times.len() - before;
        if count > 0 {
            rows.runs.push((series.labels().clone(), count));
        }
        if rows.times.len() >= GROUP_ROWS {
            group(&mut file, &labels, &mut rows)?;
        }
        done += 1;
        told(done);
    }
    group(&mut file, &labels, &mut rows)?;
    file.close()?;
    Ok(exported)
}

fn schema(names: &[String]) -> Result<Type> {
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let field = match Column::of(name) {
            Column::Time => Type::primitive_type_builder(name, Physical::INT64)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            Column::Value => Type::primitive_type_builder(name, Physical::DOUBLE).with_repetition(Repetition::REQUIRED),
            Column::Label(_) => Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::String)),
        };
        fields.push(Arc::new(field.build()?));
    }
    Ok(Type::group_type_builder("samples").with_fields(fields).build()?)
}

/// Writes the rows as a group, column by column, and empties them.
fn group<W: Write + Send>(file: &mut SerializedFileWriter<W>, labels: &[String], rows: &mut Rows) -> Result<()> {
    if rows.times.is_empty() {
        return Ok(());
    }
    let mut group = file.next_row_group()?;
    let missing = "the schema has fewer columns than the table";
    let mut column = group.next_column()?.context(missing)?;
    column.typed::<Int64Type>().write_batch(&rows.times, None, None)?;
    column.close()?;
    let mut column = group.next_column()?.context(missing)?;
    column.typed::<DoubleType>().write_batch(&rows.values, None, None)?;
    column.close()?;
    let (mut texts, mut levels) = (Vec::with_capacity(BATCH_ROWS), Vec::with_capacity(BATCH_ROWS));
    for label in labels {
        let mut column = group.next_column()?.context(missing)?;
        for (series, count) in &rows.runs {
            let text = series.get(label).map(|text| ByteArray::from(text.as_bytes().to_vec()));
            let mut left = *count;
            while left > 0 {
                let some = left.min(BATCH_ROWS - levels.len());
                levels.resize(levels.len() + some, i16::from(text.is_some()));
                texts.extend(text.iter().flat_map(|text| std::iter::repeat_n(text.clone(), some)));
                left -= some;
                if levels.len() == BATCH_ROWS {
                    column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
                    texts.clear();
                    levels.clear();
                }
            }
        }
        column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
        texts.clear();
        levels.clear();
        column.close()?;
    }
    group.close()?;
    *rows = Rows::default();
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
    let columns: Vec<Column> = descriptor.columns().iter().map(|column| Column::of(&column.path().string())).collect();
    let place = |wanted: &Column, name: &str| {
        columns.iter().position(|column| column == wanted).with_context(|| format!("there is no column `{name}`"))
    };
    let (time_at, value_at) = (place(&Column::Time, "timestamp")?, place(&Column::Value, "value")?);
    let (_, units_a_ms) = time_unit(&descriptor.column(time_at));
    let all = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
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
                cells_of(reader, count, cells).with_context(|| format!("column {column:?} of group {number}"))?;
                ensure!(cells.len() == count, "column {column:?} of group {number} has too few rows");
            }
            let mut slot: Option<usize> = None;
            for row in 0..count {
                let cell = |at: usize| batch.get(at).and_then(|cells| cells.get(row));
                let time = match cell(time_at) {
                    Some(Cell::Integer(time)) => time.div_euclid(units_a_ms),
                    other => bail!("row {}: the timestamp is {other:?}, not an integer", done + row as u64),
                };
                let value = match cell(value_at) {
                    Some(Cell::Float(value)) => *value,
                    Some(Cell::Integer(value)) => *value as f64,
                    // A table from elsewhere may have gaps.
                    Some(Cell::Null) => continue,
                    other => bail!("row {}: the value is {other:?}, not a number", done + row as u64),
                };
                let same = row > 0
                    && (0..columns.len()).all(|at| {
                        at == time_at
                            || at == value_at
                            || cell(at) == batch.get(at).and_then(|cells| cells.get(row - 1))
                    });
                let number = match slot.filter(|_| same) {
                    Some(number) => number,
                    None => {
                        let labels = labels(&columns, cell).with_context(|| format!("row {}", done + row as u64))?;
                        *slot.insert(gathered.slot(labels))
                    }
                };
                gathered.push(number, time, value)?;
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
}

fn labels<'a>(columns: &[Column], cell: impl Fn(usize) -> Option<&'a Cell>) -> Result<Labels> {
    let mut pairs = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let Column::Label(name) = column else { continue };
        match cell(at) {
            Some(Cell::Text(text)) if !text.data().is_empty() => {
                let text = std::str::from_utf8(text.data()).with_context(|| format!("label `{name}` is no UTF-8"))?;
                pairs.push((name.clone(), text.to_owned()));
            }
            Some(Cell::Integer(number)) => pairs.push((name.clone(), number.to_string())),
            Some(Cell::Float(_)) => bail!("label `{name}` is a number with a fraction; labels are texts"),
            _ => {}
        }
    }
    ensure!(!pairs.is_empty(), "the sample has no label, so that nothing would find it");
    Ok(Labels::from_pairs(pairs))
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
