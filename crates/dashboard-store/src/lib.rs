//! Dashboards on disk: provisioning, versions, conflicts
