//! PromQL: lexer, syntax tree with positions, parser, printer, type check
