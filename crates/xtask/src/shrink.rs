//! A smaller program for the browser from the one that bindgen leaves: functions that do the same become one, and those
//! that look alike lie side by side, where compression sees it.
//!
//! Merging is safe in WebAssembly: a function pointer is a place in a table, and every pointer keeps its place.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ElementSection, ExportSection, FunctionSection, GlobalSection, Module, RawSection, StartSection,
};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};

/// One function with a body.
struct Function<'a> {
    kind: u32,
    body: FunctionBody<'a>,
    /// The body with the callees taken out.
    shape: Vec<u8>,
    /// Callees in order.
    calls: Vec<u32>,
}

/// What bindgen wrote, smaller and otherwise the same.
pub(crate) fn shrink(wasm: &[u8]) -> Result<Vec<u8>> {
    let (imported, functions) = read(wasm)?;
    let merged = merge(imported, &functions);
    let order = order(imported, &functions, &merged);
    // New place of every function by its old one.
    let mut places: Vec<u32> = (0..imported).collect();
    places.resize(imported as usize + functions.len(), u32::MAX);
    for (at, old) in (imported..).zip(&order) {
        places[*old as usize] = at;
    }
    for (old, kept) in merged.iter().enumerate() {
        places[old] = places[*kept as usize];
    }
    write(wasm, imported, &functions, &order, places)
}

fn read(wasm: &[u8]) -> Result<(u32, Vec<Function<'_>>)> {
    let (mut imported, mut kinds, mut bodies) = (0, Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::FunctionSection(section) => {
                for kind in section {
                    kinds.push(kind?);
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    if kinds.len() != bodies.len() {
        bail!("{} functions are declared and {} are there", kinds.len(), bodies.len());
    }
    let functions = kinds.into_iter().zip(bodies).map(|(kind, body)| function(kind, body)).collect::<Result<_>>()?;
    Ok((imported, functions))
}

fn function(kind: u32, body: FunctionBody<'_>) -> Result<Function<'_>> {
    let bytes = body.as_bytes();
    let start = body.range().start;
    let (mut shape, mut calls, mut copied) = (Vec::with_capacity(bytes.len()), Vec::new(), 0);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let at = operators.original_position() - start;
        if let Operator::Call { function_index } | Operator::RefFunc { function_index } = operators.read()? {
            // The operation stays, its number goes.
            shape.extend_from_slice(bytes.get(copied..=at).context("an operation outside of its function")?);
            copied = operators.original_position() - start;
            calls.push(function_index);
        }
    }
    shape.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Ok(Function { kind, body, shape, calls })
}

/// For every function, imported ones first, the function that stands for it. Merging makes callers alike, so it goes on
/// until nothing changes.
fn merge(imported: u32, functions: &[Function<'_>]) -> Vec<u32> {
    let mut stands: Vec<u32> = (0..).take(imported as usize + functions.len()).collect();
    loop {
        let mut seen = HashMap::new();
        let mut changed = false;
        for (index, function) in (imported..).zip(functions) {
            let calls: Vec<u32> = function.calls.iter().map(|callee| stands[*callee as usize]).collect();
            let first = *seen.entry((function.kind, function.shape.as_slice(), calls)).or_insert(index);
            changed |= stands[index as usize] != first;
            stands[index as usize] = first;
        }
        if !changed {
            return stands;
        }
    }
}

/// Functions that stay, alike ones side by side: by their bytes without the numbers of callees.
fn order(imported: u32, functions: &[Function<'_>], merged: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> =
        (imported..).take(functions.len()).filter(|index| merged[*index as usize] == *index).collect();
    order.sort_by_key(|index| {
        let function = &functions[(index - imported) as usize];
        (function.kind, function.shape.as_slice())
    });
    order
}

/// Gives functions their new numbers.
struct Renumber(Vec<u32>);

impl Reencode for Renumber {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error> {
        Ok(self.0.get(function as usize).copied().unwrap_or(function))
    }
}

fn write(wasm: &[u8], imported: u32, functions: &[Function<'_>], order: &[u32], places: Vec<u32>) -> Result<Vec<u8>> {
    let mut renumber = Renumber(places);
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::FunctionSection(_) => {
                let mut section = FunctionSection::new();
                for index in order {
                    section.function(functions[(index - imported) as usize].kind);
                }
                module.section(&section);
            }
            Payload::ExportSection(exports) => {
                let mut section = ExportSection::new();
                for export in exports.clone() {
                    let export = export?;
                    renumber.parse_export(&mut section, export).map_err(failed)?;
                }
                module.section(&section);
            }
            Payload::ElementSection(elements) => {
                let mut section = ElementSection::new();
                renumber.parse_element_section(&mut section, elements.clone()).map_err(failed)?;
                module.section(&section);
            }
            Payload::GlobalSection(globals) => {
                let mut section = GlobalSection::new();
                renumber.parse_global_section(&mut section, globals.clone()).map_err(failed)?;
                module.section(&section);
            }
            Payload::StartSection { func, .. } => {
                module.section(&StartSection { function_index: renumber.function_index(*func).map_err(failed)? });
            }
            Payload::CodeSectionStart { .. } => {
                let mut section = CodeSection::new();
                for index in order {
                    let body = functions[(index - imported) as usize].body.clone();
                    renumber.parse_function_body(&mut section, body).map_err(failed)?;
                }
                module.section(&section);
            }
            Payload::CodeSectionEntry(_) => {}
            // Everything else names no function.
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection { id, data: wasm.get(range).context("a section outside of the file")? });
                }
            }
        }
    }
    Ok(module.finish())
}

fn failed(error: reencode::Error) -> anyhow::Error {
    anyhow::anyhow!("the program of the browser could not be made smaller: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{EntityType, ExportKind, Function as Body, ImportSection, TypeSection};

    /// Imports one function; two pairs of functions are the same, the second pair only after the first is merged.
    fn sample() -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut imports = ImportSection::new();
        imports.import("env", "tick", EntityType::Function(0));
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for callees in [&[0_u32, 0][..], &[0, 0], &[1], &[2], &[3, 4]] {
            functions.function(0);
            let mut body = Body::new([]);
            for callee in callees {
                body.instructions().call(*callee);
            }
            body.instructions().end();
            code.function(&body);
        }
        let mut exports = ExportSection::new();
        for (name, index) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("all", 5)] {
            exports.export(name, ExportKind::Func, index);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    #[test]
    fn the_same_becomes_one() {
        let small = shrink(&sample()).unwrap();
        wasmparser::validate(&small).unwrap();
        let (imported, functions) = read(&small).unwrap();
        assert_eq!((imported, functions.len()), (1, 3));
        let mut exports = HashMap::new();
        for payload in Parser::new(0).parse_all(&small) {
            if let Payload::ExportSection(section) = payload.unwrap() {
                for export in section {
                    let export = export.unwrap();
                    exports.insert(export.name, export.index);
                }
            }
        }
        assert_eq!(exports["a"], exports["b"]);
        assert_eq!(exports["c"], exports["d"]);
        let calls = |name: &str| functions[exports[name] as usize - 1].calls.clone();
        assert_eq!(calls("a"), [0, 0]);
        assert_eq!(calls("c"), [exports["a"]]);
        assert_eq!(calls("all"), [exports["c"], exports["c"]]);
        // Nothing is left to do.
        assert_eq!(shrink(&small).unwrap(), small);
    }

    #[test]
    fn not_a_program() {
        assert!(shrink(b"no wasm").is_err());
    }
}
