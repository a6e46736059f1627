//! Writers of feature tables, and publishing all or nothing.
