//! Changing a dashboard: panel editor, saving, versions.
