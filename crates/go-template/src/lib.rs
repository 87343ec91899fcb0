//! Go's text/template for annotations and notifications
