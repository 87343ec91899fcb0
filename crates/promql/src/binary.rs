//! Binary operators: between scalars, between a vector and a scalar, and between vectors that are matched by labels.

use crate::engine::{merge_into, without_metadata};
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::grouping::{GroupTable, LabelFilter, is_metadata};
use crate::histogram;
use crate::stream::Stage;
use crate::value::{At, Column, Grid, Intermediate, Kind, VectorSeries};
use model::{FloatHistogram, Labels, SampleValue, histogram::CounterResetHint};
use promql_syntax::{BinaryExpr, BinaryOp, Cardinality, Matching, Span, ValueType};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// Series of both sides with the same matching labels, as indexes.
#[derive(Default)]
struct MatchGroup {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Stands for the missing partner that `fill` provides.
const FILLED: usize = usize::MAX;

impl Evaluator<'_> {
    pub(crate) fn eval_binary(&self, e: &BinaryExpr, grid: Grid) -> Result<Intermediate, QueryError> {
        // Chains such as `a or b or c …` nest to the left: they are walked, so that a long one needs no deep stack.
        let (mut chain, mut bottom) = e.spine();
        // What others want as well is asked for; it may be such a chain itself, but not many of them in each other.
        let _nested = self.nest();
        if self.may_nest()
            && let Some(at) = chain.iter().rposition(|own| !std::ptr::eq(*own, e) && self.part_at(own.span).is_some())
        {
            let rest = chain.split_off(at + 1);
            bottom = &rest[0].left;
            chain = rest;
        }
        let before = self.live();
        let mut value = self.eval(bottom, grid)?;
        for e in chain {
            let right = self.eval(&e.right, grid)?;
            value = self.operate(e, value, right, grid)?;
            self.settle(before, &value)?;
        }
        Ok(value)
    }

    fn operate(
        &self,
        e: &BinaryExpr,
        left: Intermediate,
        right: Intermediate,
        grid: Grid,
    ) -> Result<Intermediate, QueryError> {
        Ok(match (left, right) {
            (Intermediate::Scalar(a), Intermediate::Scalar(b)) => {
                Intermediate::Scalar(a.into_iter().zip(b).map(|(a, b)| scalars(e.op, a, b)).collect())
            }
            (Intermediate::Vector(vector), Intermediate::Scalar(scalar)) => {
                Intermediate::Vector(self.with_scalar(e, vector, &scalar, false))
            }
            (Intermediate::Scalar(scalar), Intermediate::Vector(vector)) => {
                Intermediate::Vector(self.with_scalar(e, vector, &scalar, true))
            }
            (Intermediate::Vector(left), Intermediate::Vector(right)) => {
                let matching = e.matching.clone().unwrap_or_default();
                Intermediate::Vector(if e.op.is_set() {
                    set_operation(e.op, &matching, left, right, grid)?
                } else {
                    self.match_vectors(e, &matching, &left, &right, grid)?
                })
            }
            _ => return Err(QueryError::Execution("strings have no operators".to_owned())),
        })
    }

    fn with_scalar(
        &self,
        e: &BinaryExpr,
        mut vector: Vec<VectorSeries>,
        scalar: &[f64],
        scalar_first: bool,
    ) -> Vec<VectorSeries> {
        vector.iter_mut().for_each(|series| self.operate_with_scalar(e, series, scalar, scalar_first));
        vector.retain(|series| !series.column.is_empty());
        vector
    }

    /// The operation between a vector and a scalar, for one series.
    pub(crate) fn scalar_stage<'e>(&'e self, e: &'e BinaryExpr, grid: Grid) -> Result<Stage<'e>, QueryError> {
        let scalar_first = e.left.value_type() == ValueType::Scalar;
        let scalar = self.eval_scalar(if scalar_first { &e.left } else { &e.right }, grid)?;
        Ok(Box::new(move |series| self.operate_with_scalar(e, series, &scalar, scalar_first)))
    }

    fn operate_with_scalar(&self, e: &BinaryExpr, series: &mut VectorSeries, scalar: &[f64], scalar_first: bool) {
        if !(e.op.is_comparison() || e.op.is_trim()) || e.return_bool {
            series.drop_name = true;
        }
        let column = &mut series.column;
        if column.histograms.is_empty() && !e.op.is_trim() {
            return floats_with_scalar(e, column, scalar, scalar_first);
        }
        let before = std::mem::replace(column, Column::empty(scalar.len()));
        for (step, &number) in scalar.iter().enumerate() {
            let Some(value) = before.get(step) else { continue };
            let (a, b) = if scalar_first { (At::Float(number), value) } else { (value, At::Float(number)) };
            let Some((result, keep)) = self.element(e.op, a, b, e.span) else { continue };
            if e.return_bool {
                column.set_float(step, if keep { 1.0 } else { 0.0 });
            } else if keep && e.op.is_comparison() {
                column.copy_from(step, &before);
            } else if keep {
                column.set(step, result);
            }
        }
    }

    /// One operation. `None`: the operands do not fit together, which has been noted.
    fn element(&self, op: BinaryOp, a: At<'_>, b: At<'_>, span: Span) -> Option<(SampleValue, bool)> {
        let type_name = |value: At<'_>| if matches!(value, At::Float(_)) { "float" } else { "histogram" };
        let unfit = || {
            let (left, sign, right) = (type_name(a), op.as_str(), type_name(b));
            let text =
                format!("incompatible sample types encountered for binary operator \"{sign}\": {left} {sign} {right}");
            self.annotations.info(span, text);
            None
        };
        let float = |value: f64| Some((SampleValue::Float(value), true));
        let whole = |value: FloatHistogram| Some((SampleValue::Histogram(Arc::new(value)), true));
        match (a, b) {
            (At::Float(x), At::Float(y)) => match op {
                BinaryOp::TrimLower | BinaryOp::TrimUpper => unfit(),
                op if op.is_comparison() => Some((SampleValue::Float(x), compare(op, x, y))),
                op => float(arithmetic(op, x, y)),
            },
            (At::Histogram(x), At::Float(y)) => match op {
                BinaryOp::Mul => whole(histogram::scale(x, y)),
                BinaryOp::Div => whole(histogram::divide(x, y)),
                BinaryOp::TrimUpper => whole(histogram::trim_above(x, y)),
                BinaryOp::TrimLower => whole(histogram::trim_below(x, y)),
                _ => unfit(),
            },
            (At::Float(x), At::Histogram(y)) => match op {
                BinaryOp::Mul => whole(histogram::scale(y, x)),
                _ => unfit(),
            },
            (At::Histogram(x), At::Histogram(y)) => match op {
                BinaryOp::Equal => Some((SampleValue::Histogram(Arc::clone(x)), histogram::equal(x, y))),
                BinaryOp::NotEqual => Some((SampleValue::Histogram(Arc::clone(x)), !histogram::equal(x, y))),
                BinaryOp::Add | BinaryOp::Sub => {
                    let (what, result) = if op == BinaryOp::Add {
                        ("addition", histogram::add(x, y))
                    } else {
                        ("subtraction", histogram::sub(x, y))
                    };
                    let Ok((mut result, notes)) = result else {
                        let text =
                            format!("incompatible bucket layout encountered for binary operator {}", op.as_str());
                        self.annotations.warn(span, text);
                        return None;
                    };
                    if notes.counter_reset_collision {
                        self.annotations.warn(span, format!("conflicting counter resets during histogram {what}"));
                    }
                    if notes.bounds_reconciled {
                        let text = format!("mismatched custom buckets were reconciled during {what}");
                        self.annotations.info(span, text);
                    }
                    if op == BinaryOp::Sub {
                        result.counter_reset_hint = CounterResetHint::Gauge;
                    }
                    whole(result)
                }
                _ => unfit(),
            },
        }
    }

    /// Which series of the "one" side are told to be double: those of the first step that has such, in order.
    fn first_duplicate(
        &self,
        matching: &Matching,
        one: &[VectorSeries],
        looked_at: &[bool],
        swapped: bool,
    ) -> Result<QueryError, QueryError> {
        let (filter, mut table) = (matching_filter(matching), GroupTable::default());
        let places: Vec<usize> = one.iter().map(|series| table.place(&filter, &series.labels)).collect();
        for (step, _) in looked_at.iter().enumerate().filter(|(_, looked_at)| **looked_at) {
            self.check_time()?;
            let mut first: HashMap<usize, usize> = HashMap::new();
            for (index, series) in one.iter().enumerate().filter(|(_, series)| series.column.is_present(step)) {
                if let Some(first) = first.insert(places[index], index) {
                    return Ok(duplicate(table.labels(places[index]), &one[first].labels, &series.labels, swapped));
                }
            }
        }
        Ok(ambiguous())
    }

    fn match_vectors(
        &self,
        e: &BinaryExpr,
        matching: &Matching,
        left: &[VectorSeries],
        right: &[VectorSeries],
        grid: Grid,
    ) -> Result<Vec<VectorSeries>, QueryError> {
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        // As in Prometheus, `fill_left` fills the "many" side even where `group_right` puts that to the right.
        let (fill_many, fill_one) = (matching.fill.left, matching.fill.right);
        let filter = matching_filter(matching);
        let (mut table, mut groups): (_, Vec<MatchGroup>) = (GroupTable::default(), Vec::new());
        for (is_many, side) in [(true, many), (false, one)] {
            for (index, series) in side.iter().enumerate() {
                let place = table.place(&filter, &series.labels);
                if place == groups.len() {
                    groups.push(MatchGroup::default());
                }
                let group = &mut groups[place];
                if is_many { group.many.push(index) } else { group.one.push(index) }
            }
        }
        // Between pairs the key is the result's label set, unless it holds what results never have.
        let key_is_result = matching.cardinality == Cardinality::OneToOne
            && matching.include.is_empty()
            && !e.op.is_comparison()
            && !e.op.is_trim()
            && !(matching.on && matching.labels.iter().any(|name| is_metadata(name)));
        let mut many_present = vec![false; grid.count];
        for series in many {
            for (step, present) in many_present.iter_mut().enumerate() {
                *present |= series.column.is_present(step);
            }
        }
        let mut out: Vec<VectorSeries> = Vec::new();
        let mut places: HashMap<(Labels, bool), usize> = HashMap::new();
        for (place, group) in groups.iter().enumerate() {
            if place % 64 == 0 {
                self.check_time()?;
            }
            let key = table.labels(place);
            if group.one.is_empty() && fill_one.is_none() || group.many.is_empty() && fill_many.is_none() {
                if group.many.is_empty() && !is_unique(group, one, &many_present) {
                    return Err(self.first_duplicate(matching, one, &many_present, swapped)?);
                }
                continue;
            }
            let is_simple = fill_one.is_none() && fill_many.is_none();
            if let ([partner], true) = (group.one.as_slice(), is_simple)
                && (matching.cardinality != Cardinality::OneToOne || group.many.len() == 1)
            {
                let partner = &one[*partner];
                for own in group.many.iter().map(|&index| &many[index]) {
                    let (a, b) = if swapped { (&partner.column, &own.column) } else { (&own.column, &partner.column) };
                    let column = self.combine(e, a, b);
                    if column.is_empty() {
                        continue;
                    }
                    self.count_live(column.points(), column.bytes())?;
                    let labels = if key_is_result {
                        key.clone()
                    } else {
                        self.result_labels(e, matching, &own.labels, &partner.labels)
                    };
                    // A name that was to vanish stays where a comparison keeps it.
                    let series = VectorSeries { labels, drop_name: e.return_bool, column };
                    if matching.cardinality == Cardinality::OneToOne {
                        out.push(series);
                        continue;
                    }
                    match places.entry((series.labels.clone(), series.drop_name)) {
                        Entry::Vacant(entry) => {
                            entry.insert(out.len());
                            out.push(series);
                        }
                        Entry::Occupied(entry) => add_matches(&mut out[*entry.get()].column, &series.column)?,
                    }
                }
                continue;
            }
            let mut pairs: HashMap<(usize, usize), usize> = HashMap::new();
            for step in 0..grid.count {
                self.check_time()?;
                let mut present = group.one.iter().copied().filter(|&index| one[index].column.is_present(step));
                let partner = present.next();
                if partner.is_some() && present.next().is_some() && (many_present[step] || fill_many.is_some()) {
                    let looked_at: Vec<bool> =
                        many_present.iter().map(|present| *present || fill_many.is_some()).collect();
                    return Err(self.first_duplicate(matching, one, &looked_at, swapped)?);
                }
                let partner_value = match partner {
                    Some(index) => one[index].column.get(step),
                    None => fill_one.map(At::Float),
                };
                let mut matched = false;
                let mut lone = partner.is_some();
                let candidates = group.many.iter().copied().chain([FILLED]);
                for index in candidates {
                    let value = if index == FILLED {
                        if !lone {
                            break;
                        }
                        fill_many.map(At::Float)
                    } else {
                        many[index].column.get(step)
                    };
                    let Some(value) = value else { continue };
                    lone = false;
                    let Some(partner_value) = partner_value else { continue };
                    let (a, b) = if swapped { (partner_value, value) } else { (value, partner_value) };
                    let (result, keep) = match self.element(e.op, a, b, e.span) {
                        Some(result) => result,
                        None => continue,
                    };
                    // Also what a comparison leaves out has found its partner.
                    if matching.cardinality == Cardinality::OneToOne && matched {
                        return Err(QueryError::Execution(
                            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".to_owned(),
                        ));
                    }
                    matched = true;
                    let result = if e.return_bool {
                        SampleValue::Float(if keep { 1.0 } else { 0.0 })
                    } else if keep {
                        result
                    } else {
                        continue;
                    };
                    let partner_index = partner.unwrap_or(FILLED);
                    let place = *pairs.entry((index, partner_index)).or_insert_with(|| {
                        let own = if index == FILLED { key } else { &many[index].labels };
                        let other = if partner_index == FILLED { key } else { &one[partner_index].labels };
                        let labels = self.result_labels(e, matching, own, other);
                        let drop_name = e.return_bool;
                        *places.entry((labels.clone(), drop_name)).or_insert_with(|| {
                            out.push(VectorSeries { labels, drop_name, column: Column::empty(grid.count) });
                            out.len() - 1
                        })
                    });
                    if out[place].column.is_present(step) {
                        return Err(ambiguous());
                    }
                    out[place].column.set(step, result);
                }
            }
        }
        out.retain(|series| !series.column.is_empty());
        Ok(out)
    }

    /// What a match is called. Whether several are called the same is looked at before names go that are to go later.
    fn result_labels(&self, e: &BinaryExpr, matching: &Matching, own: &Labels, other: &Labels) -> Labels {
        let labels = result_labels(e.op, matching, own, other);
        let goes = e.return_bool && matching.cardinality != Cardinality::OneToOne && !self.delays_names();
        if goes { without_metadata(&labels) } else { labels }
    }

    /// The operation between two columns.
    fn combine(&self, e: &BinaryExpr, left: &Column, right: &Column) -> Column {
        if left.histograms.is_empty() && right.histograms.is_empty() && !e.op.is_trim() {
            return combine_floats(e, left, right);
        }
        let mut out = Column::empty(left.kinds.len());
        for step in 0..left.kinds.len() {
            let (Some(a), Some(b)) = (left.get(step), right.get(step)) else { continue };
            match self.element(e.op, a, b, e.span) {
                Some((_, keep)) if e.return_bool => out.set_float(step, if keep { 1.0 } else { 0.0 }),
                Some((result, true)) => out.set(step, result),
                _ => {}
            }
        }
        out
    }
}

fn combine_floats(e: &BinaryExpr, left: &Column, right: &Column) -> Column {
    fn each(left: &Column, right: &Column, f: impl Fn(f64, f64) -> f64) -> Column {
        let both = |(a, b): (&Kind, &Kind)| {
            if *a == Kind::Float && *b == Kind::Float { Kind::Float } else { Kind::Absent }
        };
        Column {
            kinds: left.kinds.iter().zip(&right.kinds).map(both).collect(),
            values: left.values.iter().zip(&right.values).map(|(&a, &b)| f(a, b)).collect(),
            histograms: Vec::new(),
        }
    }
    match e.op {
        BinaryOp::Add => each(left, right, |a, b| a + b),
        BinaryOp::Sub => each(left, right, |a, b| a - b),
        BinaryOp::Mul => each(left, right, |a, b| a * b),
        BinaryOp::Div => each(left, right, |a, b| a / b),
        op if op.is_comparison() && e.return_bool => each(left, right, |a, b| f64::from(u8::from(compare(op, a, b)))),
        op if op.is_comparison() => {
            let mut out = each(left, right, |a, _| a);
            for step in 0..out.kinds.len() {
                if out.is_present(step) && !compare(op, left.values[step], right.values[step]) {
                    out.clear(step);
                }
            }
            out
        }
        op => each(left, right, |a, b| arithmetic(op, a, b)),
    }
}

fn ambiguous() -> QueryError {
    let text = "multiple matches for labels: grouping labels must ensure unique matches";
    QueryError::Execution(text.to_owned())
}

/// Adds results to those of other series with the same labels; a step that has one already makes the query fail.
fn add_matches(into: &mut Column, from: &Column) -> Result<(), QueryError> {
    for step in 0..from.kinds.len() {
        if from.is_present(step) {
            if into.is_present(step) {
                return Err(ambiguous());
            }
            into.copy_from(step, from);
        }
    }
    Ok(())
}

fn floats_with_scalar(e: &BinaryExpr, column: &mut Column, scalar: &[f64], scalar_first: bool) {
    let each = |column: &mut Column, f: &dyn Fn(f64, f64) -> Option<f64>| {
        for (step, &number) in scalar.iter().enumerate() {
            if column.kinds[step] == Kind::Absent {
                continue;
            }
            let value = column.values[step];
            match if scalar_first { f(number, value) } else { f(value, number) } {
                Some(result) => column.values[step] = result,
                None => column.clear(step),
            }
        }
    };
    let op = e.op;
    if !op.is_comparison() {
        each(column, &|a, b| Some(arithmetic(op, a, b)));
    } else if e.return_bool {
        each(column, &|a, b| Some(f64::from(u8::from(compare(op, a, b)))));
    } else {
        // The vector's own value stays, whichever side it is on.
        each(column, &|a, b| compare(op, a, b).then_some(if scalar_first { b } else { a }));
    }
}

/// The "one" side must be unique even where nothing matches it.
fn is_unique(group: &MatchGroup, one: &[VectorSeries], many_present: &[bool]) -> bool {
    if group.one.len() < 2 {
        return true;
    }
    let mut steps = many_present.iter().enumerate().filter(|(_, present)| **present);
    steps.all(|(step, _)| group.one.iter().filter(|&&index| one[index].column.is_present(step)).nth(1).is_none())
}

fn duplicate(key: &Labels, first: &Labels, second: &Labels, swapped: bool) -> QueryError {
    let side = if swapped { "left" } else { "right" };
    QueryError::Execution(format!(
        "found duplicate series for the match group {key} on the {side} hand-side of the operation: [{second}, {first}]\
         ;many-to-many matching not allowed: matching labels must be unique on one side"
    ))
}

/// The labels by which series find each other.
fn matching_filter(matching: &Matching) -> LabelFilter {
    if matching.on { LabelFilter::only(&matching.labels) } else { LabelFilter::but(&matching.labels) }
}

fn result_labels(op: BinaryOp, matching: &Matching, own: &Labels, other: &Labels) -> Labels {
    let mut labels = if op.is_comparison() || op.is_trim() { own.clone() } else { without_metadata(own) };
    if matching.cardinality == Cardinality::OneToOne {
        labels = if matching.on { labels.keep(&matching.labels) } else { labels.without(&matching.labels) };
    }
    if matching.include.is_empty() {
        return labels;
    }
    let mut builder = labels.to_builder();
    for name in &matching.include {
        builder.set(name, other.get(name).unwrap_or_default());
    }
    builder.build()
}

fn set_operation(
    op: BinaryOp,
    matching: &Matching,
    left: Vec<VectorSeries>,
    right: Vec<VectorSeries>,
    grid: Grid,
) -> Result<Vec<VectorSeries>, QueryError> {
    let filter = matching_filter(matching);
    // Where any series with these matching labels has a point.
    let presence = |side: &[VectorSeries]| {
        let (mut table, mut masks): (_, Vec<Vec<bool>>) = (GroupTable::default(), Vec::new());
        for series in side {
            let place = table.place(&filter, &series.labels);
            if place == masks.len() {
                masks.push(vec![false; grid.count]);
            }
            for (present, kind) in masks[place].iter_mut().zip(&series.column.kinds) {
                *present |= *kind != Kind::Absent;
            }
        }
        (table, masks)
    };
    let select = |side: Vec<VectorSeries>, (table, masks): (GroupTable, Vec<Vec<bool>>), keep: bool| {
        let mut out = Vec::with_capacity(side.len());
        for mut series in side {
            match table.find(&filter, &series.labels) {
                None if keep => continue,
                None => {}
                Some(place) => {
                    for (kind, present) in series.column.kinds.iter_mut().zip(&masks[place]) {
                        if *present != keep {
                            *kind = Kind::Absent;
                        }
                    }
                }
            }
            if !series.column.is_empty() {
                out.push(series);
            }
        }
        out
    };
    match op {
        BinaryOp::And => Ok(select(left, presence(&right), true)),
        BinaryOp::Unless => Ok(select(left, presence(&right), false)),
        _ => {
            let added = select(right, presence(&left), false);
            let mut out = left;
            // With its name and without one, a series is another one: what a step answers does not hang on the steps before.
            let mut places: HashMap<(Labels, bool), usize> = HashMap::new();
            for (place, series) in out.iter().enumerate() {
                places.insert((series.labels.clone(), series.drop_name), place);
            }
            for series in added {
                match places.get(&(series.labels.clone(), series.drop_name)) {
                    Some(&place) => merge_into(&mut out[place], &series)?,
                    None => out.push(series),
                }
            }
            Ok(out)
        }
    }
}

fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Greater => a > b,
        BinaryOp::Less => a < b,
        BinaryOp::GreaterOrEqual => a >= b,
        _ => a <= b,
    }
}

fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => a % b,
    }
}

fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    if op.is_comparison() {
        return if compare(op, a, b) { 1.0 } else { 0.0 };
    }
    arithmetic(op, a, b)
}
