//! remote_write and remote_read, both ends
